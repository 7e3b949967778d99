"""What is wrong with a stack: at which key, what, and what to do; before it is known in which file and line."""

from __future__ import annotations

from dataclasses import dataclass

from stampede.errors import BadInput, StackFileError

Path = tuple[str, ...]


def spell(path: Path) -> str:
    """A key path as people write it: `services.web.ports.0`."""
    return ".".join(path)


@dataclass(frozen=True)
class Trace:
    """What else helps to find the place: a file, a line of it, or a word that stands somewhere below a key."""

    file: str = ""
    line: int = 0
    key: str = ""
    word: str = ""


class Complaint(Exception):
    """Something is wrong at a key path (empty: the whole file). It becomes a `kind` before it leaves this package."""

    def __init__(
        self,
        path: Path,
        message: str,
        hint: str = "",
        kind: type[BadInput] = StackFileError,
        trace: Trace = Trace(),
    ) -> None:
        super().__init__(message)
        self.path, self.message, self.hint, self.kind, self.trace = path, message, hint, kind, trace

    def as_error(self, where: str = "") -> BadInput:
        """The error that a user sees; `where` is file and line."""
        return self.kind(": ".join(part for part in (where, spell(self.path), self.message) if part), self.hint)
