"""Which instances a command means: `web` is all of a service, `web.2` one of them."""

from __future__ import annotations

from collections.abc import Sequence

from stampede.client import InstanceView
from stampede.errors import BadInput, UnknownName


def select_instances(instances: Sequence[InstanceView], stack: str, words: Sequence[str]) -> list[InstanceView]:
    """Instances that `words` name, all without words. Raises: UnknownName for a word that names none."""
    if not instances:
        raise UnknownName(f"nothing of {stack} runs", "stampede ps --all shows what does")
    if not words:
        return list(instances)
    chosen: list[InstanceView] = []
    for word in words:
        matching = [each for each in instances if _names(word, each)]
        if not matching:
            services = sorted({each.service for each in instances})
            raise UnknownName(f"{stack} runs no {word}", f"its services are {', '.join(services)}")
        chosen += [each for each in matching if each not in chosen]
    return chosen


def select_one(instances: Sequence[InstanceView], stack: str, word: str) -> InstanceView:
    """The running instance that `word` names, the lowest slot of a service.

    Raises: UnknownName, BadInput when none of them runs.
    """
    chosen = select_instances(instances, stack, [word])
    running = [each for each in chosen if each.state == "running"]
    if not running:
        raise BadInput(f"{chosen[0].name} is {chosen[0].state}, not running", f"stampede logs {word} may say why")
    return min(running, key=lambda each: each.slot)


def _names(word: str, instance: InstanceView) -> bool:
    return word in (
        instance.service,
        instance.name,
        f"{instance.service}.{instance.slot}",
        f"{instance.stack}-{instance.service}-{instance.slot}",
    )
