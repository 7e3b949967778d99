"""Which data a command is about: `shop/uploads`, `shop`, or the stack of here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from stampede.errors import BadInput

if TYPE_CHECKING:
    from stampede.client import Client

Target = Annotated[
    str | None, typer.Argument(metavar="[STACK[/VOLUME]]", help="Default: all volumes of the stack of this folder.")
]
Volume = Annotated[str, typer.Argument(metavar="STACK/VOLUME", help="Such as shop/uploads.")]


class Chosen(NamedTuple):
    """A stack, and one of its volumes or none."""

    stack: str
    volume: str | None

    @property
    def volumes(self) -> list[str] | None:
        return [self.volume] if self.volume else None


def one_volume(word: str) -> tuple[str, str]:
    """Stack and key. Raises: BadInput."""
    stack, slash, volume = word.partition("/")
    if not (stack and slash and volume) or "/" in volume:
        raise BadInput(f"{word!r} names no volume", "write it as stack/volume, such as shop/uploads")
    return stack, volume


def chosen(client: Client, word: str | None) -> Chosen:
    """What the word says; without one, the stack of this folder or the only one there is.

    Raises: BadInput, UnknownName.
    """
    if word is None:
        from stampede.cli.loading import chosen_stack

        return Chosen(chosen_stack(client, None), None)
    if "/" in word:
        return Chosen(*one_volume(word))
    return Chosen(word, None)
