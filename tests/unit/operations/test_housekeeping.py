"""What housekeeping takes for unneeded."""

from __future__ import annotations

from stampede.containers.image_names import kept_tag
from stampede.deployments.housekeeping import CACHE_KEPT_S, prune_build_cache, unneeded_of
from stampede.places import Places
from stampede.tasks.this_host import ThisHost, instead_of_this_host
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
