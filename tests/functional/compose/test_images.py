"""Where images come from. No registry can be reached from the test machines."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from stampede.errors import ImageMissing, RegistryUnreachable
from tests.functional.compose.conftest import Project

pytestmark = pytest.mark.functional
Web = Callable[..., Project]


def test_pull_policy(web: Web, project: Project) -> None:
    """`never`, `missing` and `build` are content with what is here, `always` asks the registry."""
    for policy in ("never", "missing", "if_not_present"):
        web(f"pull_policy: {policy}", start=False)
    resolve = project.docker.images.resolve
    with pytest.raises(ImageMissing, match="pull_policy is never"):
        resolve("stampede-test/none:1", pull_policy="never")
    with pytest.raises(RegistryUnreachable, match="could not be pulled"):
        resolve("127.0.0.1:9/none:1", pull_policy="missing")
    project.client.api.tag("stampede-test/busybox:1", "127.0.0.1:9/here", project.name)
    here = f"127.0.0.1:9/here:{project.name}"
    try:
        assert resolve(here).identity == resolve("stampede-test/busybox:1").identity
        said: list[str] = []
        time.sleep(1.1)
        assert resolve(here, pull_policy="every_1s", progress=said.append).reference == here
        assert "registry did not answer" in said[-1]
        with pytest.raises(RegistryUnreachable):
            resolve(here, pull_policy="always")
    finally:
        project.client.images.remove(here)


def test_platform(web: Web) -> None:
    assert web("platform: linux/amd64").inspect()["Platform"] == "linux"


def test_a_platform_that_the_image_is_not_for_is_not_run(project: Project) -> None:
    with pytest.raises(ImageMissing, match="linux/arm64"):
        project.docker.images.resolve("stampede-test/busybox:1", platform="linux/arm64", pull_policy="never")


def test_a_container_is_made_from_the_tag_that_keeps_its_image(web: Web) -> None:
    project = web()
    (found,) = project.docker.found("h1", project.name).instances
    assert project.inspect()["Config"]["Image"].startswith(f"stampede.local/{project.name}/web:")
    assert found.image == "stampede-test/busybox:1"
    assert found.image_identity.startswith("sha256:")
