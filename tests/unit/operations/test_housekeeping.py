"""What housekeeping takes for unneeded."""

from __future__ import annotations

from stampede.containers.image_names import kept_tag
from stampede.deployments.housekeeping import unneeded_of

OLD, NEW = kept_tag("shop", "web", "sha256:" + "0" * 64), kept_tag("shop", "web", "sha256:" + "1" * 64)
ELSEWHERE = kept_tag("blog", "web", "sha256:" + "2" * 64)


def test_an_image_that_no_revision_of_its_stack_needs_is_unneeded() -> None:
    assert unneeded_of([OLD, NEW], [NEW]) == {OLD}


def test_images_of_stacks_that_the_server_does_not_know_are_left_alone() -> None:
    assert unneeded_of([OLD, NEW, ELSEWHERE], [NEW]) == {OLD}
    assert unneeded_of([OLD, NEW, ELSEWHERE], []) == frozenset()
