"""Build arguments stay off the command line of buildx, and out of what is logged."""

from __future__ import annotations

import pytest

from stampede.blocks.docker.builds import buildx_argv
from stampede.containers.build_args import environment_of, refuse_password, without_values
from stampede.errors import BadInput
from stampede.stackfile.models import Build


def test_only_names_are_on_the_command_line() -> None:
    args = {"TOKEN": "s3cret", "UNSET": None, "HTTPS_PROXY": "http://u:s3cret@proxy"}
    argv = buildx_argv(Build(context=".", args=args), "web:1", None)
    assert [argv[at + 1] for at, word in enumerate(argv) if word == "--build-arg"] == ["HTTPS_PROXY", "TOKEN", "UNSET"]
    assert "s3cret" not in " ".join(argv)
    assert environment_of(args) == {"TOKEN": "s3cret", "HTTPS_PROXY": "http://u:s3cret@proxy"}


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "DOCKER_HOST", "BUILDX_BUILDER", "BUILDKIT_HOST", "LD_PRELOAD", "GIT_SSH_COMMAND", "GODEBUG"],
)
def test_a_name_that_docker_reads_itself_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match=f"build.args.{name}: .*another name"):
        environment_of({name: "x"})
    assert environment_of({name: None}) == {}


@pytest.mark.parametrize("name", ["BUILDKIT_INLINE_CACHE", "GIT_COMMIT", "GO_VERSION", "no_proxy", "PATH_TO"])
def test_a_name_that_only_looks_like_one_is_given(name: str) -> None:
    assert environment_of({name: "1"}) == {name: "1"}


def test_values_are_not_logged() -> None:
    assert without_values("RUN login abcd abcdef x", {"A": "abcd", "B": "abcdef", "C": "x"}) == "RUN login *** *** x"
    assert without_values("RUN true", {}) == "RUN true"


def test_a_password_in_the_address_of_a_context_is_refused() -> None:
    with pytest.raises(BadInput, match=r"build.context: .*password"):
        refuse_password("https://user:s3cret@git.example/app.git")
    for fine in ("https://git.example/app.git#main", "git@git.example:app.git", "/srv/app"):
        refuse_password(fine)
