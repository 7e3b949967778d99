"""Images on a Docker daemon. The promises are in contract.Images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from docker.auth import resolve_repository_name
from docker.errors import APIError, ImageNotFound, NotFound
from docker.utils import parse_repository_tag

from stampede.blocks.docker.builds import build_image, prune_cache
from stampede.blocks.docker.client import Client, daemon_errors, registry_error, unavailable
from stampede.blocks.docker.reading import moment
from stampede.containers.image_identity import image_identity
from stampede.containers.image_names import BUILT_LABEL, KEPT, kept_tag
from stampede.errors import ImageMissing, RegistryUnreachable
from stampede.planning.instances import Image
from stampede.stackfile.models import Build, parse_duration

Progress = Callable[[str], None]
_AGE_OF_POLICY_S = {"daily": 86400.0, "weekly": 7 * 86400.0}


def _silent(line: str) -> None:
    """Progress that nobody listens to."""


class DockerImages:
    """See contract.Images."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def resolve(
        self,
        reference: str,
        *,
        pull_policy: str | None = None,
        platform: str | None = None,
        credentials: Mapping[str, tuple[str, str]] | None = None,
        progress: Progress | None = None,
    ) -> Image:
        there = self._inspect(reference)
        if there is not None and platform and not _is_for(there, platform):
            there, reference_said = None, f"{reference} for {platform}"
        else:
            reference_said = reference
        policy = pull_policy or "missing"
        if there is None and policy in ("never", "build"):
            hint = "build it, or leave pull_policy out" if policy == "never" else "it has to be built first"
            raise ImageMissing(f"{reference_said} is not on this host, and pull_policy is {policy}", hint)
        if there is None or _is_due(policy, there):
            try:
                self._pull(reference, platform, credentials or {}, progress or _silent)
            except RegistryUnreachable:
                if there is None or policy == "always":
                    raise
                (progress or _silent)(f"{reference}: its registry did not answer, the image on this host is used")
            there = self._inspect(reference)
        if there is None:
            raise ImageMissing(f"{reference} was pulled, but is not on this host", "docker image ls shows what is")
        return Image(reference=reference, identity=image_identity(there), pin=_pin(there, reference))

    def build(self, build: Build, tag: str, *, progress: Progress | None = None) -> Image:
        build_image(self._client, build, tag, progress or _silent)
        there = self._inspect(tag)
        if there is None:
            raise ImageMissing(f"{tag} was built, but is not on this host", "docker image ls shows what is")
        return Image(reference=tag, identity=image_identity(there))

    def keep(self, image: Image, stack: str, service: str) -> str:
        tag = kept_tag(stack, service, image.identity)
        if self._inspect(tag) is not None:
            return tag
        there = self._inspect(image.reference)
        if there is None or image_identity(there) != image.identity:
            raise ImageMissing(
                f"{image.reference} on this host is not the image that was planned with any more",
                "run the command again: it plans with the image that is there now",
            )
        repository, digits = tag.rsplit(":", 1)
        with daemon_errors(f"tag {image.reference}"):
            self._client.api.tag(there["Id"], repository, digits)
        return tag

    def kept(self) -> tuple[str, ...]:
        with daemon_errors("list images"):
            images = self._client.api.images()
        return tuple(sorted(tag for image in images for tag in image.get("RepoTags") or () if tag.startswith(KEPT)))

    def prune(self, tags: Collection[str]) -> tuple[str, ...]:
        with daemon_errors("list images"):
            used = {entry["Image"] for entry in self._client.api.containers(all=True)}
            dangling = self._client.api.images(filters={"dangling": True, "label": BUILT_LABEL})
        condemned = [tag for tag in tags if tag.startswith(KEPT) and tag not in used]
        condemned += [image["Id"] for image in dangling]
        return tuple(sorted(name for name in condemned if self._remove(name)))

    def prune_cache(self, unused_for_s: float) -> int:
        return prune_cache(self._client, unused_for_s)

    def _remove(self, name: str) -> bool:
        """Whether it was removed: what a container or a child image still needs stays."""
        with daemon_errors(f"remove image {name}"):
            try:
                self._client.api.remove_image(name)
            except NotFound:
                return False
            except APIError as error:
                if error.status_code != 409:
                    raise
                return False
        return True

    def _pull(
        self, reference: str, platform: str | None, credentials: Mapping[str, tuple[str, str]], progress: Progress
    ) -> None:
        """Raises: ImageMissing when the registry does not have it, RegistryUnreachable, DaemonError."""
        repository, tag = parse_repository_tag(reference)
        registry, _ = resolve_repository_name(repository)
        login = credentials.get(registry)
        auth = {"username": login[0], "password": login[1]} if login else None
        try:
            lines = self._client.api.pull(
                repository, tag or "latest", stream=True, decode=True, auth_config=auth, platform=platform
            )
            for line in lines:
                if "error" in line:
                    raise registry_error(reference, line["error"])
                progress(_progress_text(reference, line))
        except (ImageNotFound, NotFound) as error:
            raise ImageMissing(
                f"{reference} is neither on this host nor in its registry: {error.explanation}",
                "check the name and the tag, or build it here",
            ) from error
        except APIError as error:
            raise registry_error(reference, str(error.explanation or error)) from error
        except OSError as error:
            raise unavailable(f"pull {reference}", error) from error

    def _inspect(self, reference: str) -> dict[str, Any] | None:
        with daemon_errors(f"look at image {reference}"):
            try:
                return dict(self._client.api.inspect_image(reference))
            except NotFound:
                return None


def _is_due(policy: str, there: dict[str, Any]) -> bool:
    """Whether a policy wants an image pulled although it is there."""
    if policy == "always":
        return True
    age_s = _AGE_OF_POLICY_S.get(policy)
    if policy.startswith("every_"):
        age_s = float(parse_duration(policy.removeprefix("every_")))
    if age_s is None:
        return False
    tagged = (there.get("Metadata") or {}).get("LastTagTime") or there["Created"]
    return (datetime.now(UTC) - moment(tagged)).total_seconds() >= age_s


def _is_for(there: dict[str, Any], platform: str) -> bool:
    """Whether an image is for `os/architecture`; a variant behind it is left to the daemon."""
    return platform.split("/")[:2] == [there.get("Os"), there.get("Architecture")]


def _pin(there: dict[str, Any], reference: str) -> str:
    """The digest under which the reference's own repository has the image; empty if it never came from there."""
    repository, _ = parse_repository_tag(reference)
    digests: list[str] = there.get("RepoDigests") or []
    return next((digest for digest in digests if digest.partition("@")[0] == repository), "")


def _progress_text(reference: str, line: dict[str, Any]) -> str:
    words = (reference, line.get("id"), line.get("status"), line.get("progress"))
    return " ".join(str(word) for word in words if word)
