"""What housekeeping takes for unneeded."""

from __future__ import annotations

import pytest

from stampede.containers.image_names import kept_tag
from stampede.deployments.housekeeping import CACHE_KEPT_S, prune_build_cache, trim_volumes, unneeded_of
from stampede.errors import DaemonError
from stampede.places import Places
from stampede.tasks.this_host import ThisHost, instead_of_this_host
from stampede.volumes.models import WantedVolume
from tests.fakes.docker import FakeDockerHost
from tests.fakes.haproxy import FakeHAProxy
from tests.fakes.volumes import FakeVolumePool

OLD, NEW = kept_tag("shop", "web", "sha256:" + "0" * 64), kept_tag("shop", "web", "sha256:" + "1" * 64)
ELSEWHERE = kept_tag("blog", "web", "sha256:" + "2" * 64)


def test_an_image_that_no_revision_of_its_stack_needs_is_unneeded() -> None:
    assert unneeded_of([OLD, NEW], [NEW]) == {OLD}


def test_images_of_stacks_that_the_server_does_not_know_are_left_alone() -> None:
    assert unneeded_of([OLD, NEW, ELSEWHERE], [NEW]) == {OLD}
    assert unneeded_of([OLD, NEW, ELSEWHERE], []) == frozenset()


async def test_build_cache_that_no_build_used_for_two_weeks_goes(places: Places) -> None:
    docker = FakeDockerHost()
    docker.images.cache = {"lately": CACHE_KEPT_S - 1, "long ago": CACHE_KEPT_S}
    host = ThisHost(
        name="h1", cluster="c", places=places, docker=docker, haproxy=FakeHAProxy(), pool=FakeVolumePool(places.pool)
    )
    with instead_of_this_host(host):
        await prune_build_cache()
    assert list(docker.images.cache) == ["lately"]


async def test_room_of_deleted_files_is_given_back_and_one_volume_in_trouble_keeps_no_other_from_it(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = FakeVolumePool(places.pool)
    for name in ("a1", "b1", "c1"):
        pool.ensure_volume(WantedVolume(name=name, stack="shop", size_bytes=16 << 20))
    pool.unmount("c1")
    trimmed: list[str] = []

    def trim(volume: str) -> int:
        if volume == "a1":
            raise DaemonError("the kernel would not")
        trimmed.append(volume)
        return 7

    monkeypatch.setattr(pool, "trim", trim)
    host = ThisHost("h1", "c", places, FakeDockerHost(), FakeHAProxy(), pool)
    with instead_of_this_host(host):
        assert await trim_volumes() == 7
    assert trimmed == ["b1"]
