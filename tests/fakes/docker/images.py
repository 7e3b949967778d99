"""Images in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from stampede.containers.image_names import KEPT, kept_tag
from stampede.errors import ImageMissing, RegistryUnreachable
from stampede.planning.instances import Image
from stampede.stackfile.models import Build

if TYPE_CHECKING:
    from tests.fakes.docker.host import FakeDockerHost

BUSYBOX = "stampede-test/busybox:1"
Progress = Callable[[str], None]


class FakeImages:
    """See contract.Images. `registry` holds what could be pulled, `local` and `tags` what is on the host.

    `cache` holds records of the build cache, with the seconds since a build used them.
    """

    def __init__(self, host: FakeDockerHost) -> None:
        self._host = host
        self.local: dict[str, str] = {BUSYBOX: _digest(BUSYBOX)}
        self.registry: dict[str, str] = {}
        self.registry_away = False
        self.tags: dict[str, str] = {}
        self.cache: dict[str, float] = {}

    def add(self, reference: str, content: str = "") -> Image:
        """An image is on the host; other `content` under the same reference is another image."""
        self.local[reference] = _digest(reference + content)
        return Image(reference=reference, identity=self.local[reference])

    def resolve(
        self,
        reference: str,
        *,
        pull_policy: str | None = None,
        platform: str | None = None,
        credentials: Mapping[str, tuple[str, str]] | None = None,
        progress: Progress | None = None,
    ) -> Image:
        self._host.answer()
        policy = pull_policy or "missing"
        if reference not in self.local and policy in ("never", "build"):
            raise ImageMissing(f"{reference} is not on this host, and pull_policy is {policy}")
        if reference not in self.local or policy == "always":
            self._pull(reference)
        identity = self.local[reference]
        pulled = self.registry.get(reference) == identity or "@" in reference
        repository = reference.partition("@")[0].rpartition(":")[0] or reference
        pin = reference if "@" in reference else f"{repository}@{identity}"
        return Image(reference=reference, identity=identity, pin=pin if pulled else "")

    def publish(self, reference: str, content: str = "") -> None:
        """Its registry has the image from now on under this reference, and for ever under its digest."""
        digest = _digest(reference + content)
        self.registry[reference] = digest
        self.registry[f"{reference.rpartition(':')[0]}@{digest}"] = digest

    def _pull(self, reference: str) -> None:
        if self.registry_away:
            raise RegistryUnreachable(f"{reference} could not be pulled: no such host")
        if reference not in self.registry:
            raise ImageMissing(f"{reference} is neither on this host nor in its registry")
        with self._host.effect(f"pull {reference}"):
            self.local[reference] = self.registry[reference]

    def build(self, build: Build, tag: str, *, progress: Progress | None = None) -> Image:
        with self._host.effect(f"build {tag}"):
            return self.add(tag, build.model_dump_json())

    def keep(self, image: Image, stack: str, service: str) -> str:
        tag = kept_tag(stack, service, image.identity)
        if tag in self.tags:
            return tag
        if self.local.get(image.reference) != image.identity:
            raise ImageMissing(f"{image.reference} on this host is not the image that was planned with any more")
        with self._host.effect(f"keep {tag}"):
            self.tags[tag] = image.identity
        return tag

    def kept(self) -> tuple[str, ...]:
        return tuple(sorted(tag for tag in self.tags if tag.startswith(KEPT)))

    def prune(self, tags: Collection[str]) -> tuple[str, ...]:
        used = {container.body["Image"] for container in self._host.by_name.values()}
        condemned = sorted(tag for tag in tags if tag in self.tags and tag.startswith(KEPT) and tag not in used)
        for tag in condemned:
            with self._host.effect(f"remove image {tag}"):
                del self.tags[tag]
        return tuple(condemned)

    def prune_cache(self, unused_for_s: float) -> int:
        condemned = [name for name, unused in self.cache.items() if unused >= unused_for_s]
        for name in condemned:
            with self._host.effect(f"remove cache {name}"):
                del self.cache[name]
        return len(condemned)


def _digest(content: str) -> str:
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()
