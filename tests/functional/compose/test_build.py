"""Building from a stack file, with the builder that this machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from stampede.blocks.docker.builds import buildx_argv
from stampede.errors import BadInput, DaemonError
from stampede.stackfile.models import Build
from tests.functional.compose.conftest import Project

pytestmark = pytest.mark.functional
FROM = "FROM stampede-test/busybox:1\n"


def service(build: str) -> str:
    return f"services: {{web: {{build: {build}, command: [sleep, '600'], stop_grace_period: 1s}}}}"


def test_build(project: Project, tmp_path: Path) -> None:
    """What .dockerignore names stays out."""
    context = tmp_path / "context"
    context.mkdir()
    for name, text in {
        "Web.Dockerfile": FROM + "COPY . /here\n",
        "in": "1",
        "out": "2",
        ".dockerignore": "out\n",
    }.items():
        (context / name).write_text(text)
    project.up(service("{context: ./context, dockerfile: Web.Dockerfile}"))
    assert project.sh("ls /here") == "Web.Dockerfile\nin"


def test_the_same_content_is_the_same_image(project: Project, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(FROM + "ENV A=1\n")
    build = Build(context=str(tmp_path))
    tag = f"{project.name}-web"
    first = project.docker.images.build(build, tag)
    assert project.docker.images.build(build, tag) == first
    (tmp_path / "Dockerfile").write_text(FROM + "ENV A=2\n")
    assert project.docker.images.build(build, tag).identity != first.identity


def test_dockerfile_inline(project: Project) -> None:
    project.up(service('{context: ., dockerfile_inline: "FROM stampede-test/busybox:1\\nRUN echo inline >/made\\n"}'))
    assert project.sh("cat /made") == "inline"


def test_build_arguments(project: Project, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(FROM + "ARG COLOUR=red\nRUN echo $COLOUR >/made\n")
    project.up(service("{context: ., args: {COLOUR: blue}}"))
    assert project.sh("cat /made") == "blue"


def test_build_target(project: Project, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(FROM.strip() + " AS first\nRUN echo 1 >/made\nFROM first\nRUN echo 2 >/made\n")
    project.up(service("{context: ., target: first}"))
    assert project.sh("cat /made") == "1"


def test_labels_and_tags_of_a_build(project: Project, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(FROM)
    tag = f"{project.name}-extra:7"
    project.up(service(f"{{context: ., labels: {{team: blue}}, tags: ['{tag}']}}"))
    assert project.client.images.get(tag).labels["team"] == "blue"


def test_build_options_reach_the_builder(project: Project, tmp_path: Path) -> None:
    """The classic builder shows them; for buildx, which is not installed here, the command line is looked at."""
    (tmp_path / "Dockerfile").write_text(
        FROM + "RUN cat /etc/hosts >/hosts; df -k /dev/shm | tail -1 >/shm; ip link >/links\n"
    )
    project.up(
        service(
            "{context: ., extra_hosts: ['printer=192.0.2.7'], network: none, no_cache: true, shm_size: 8m,"
            " cache_from: ['stampede-test/busybox:1'], platforms: [linux/amd64]}"
        )
    )
    assert "192.0.2.7" in project.sh("cat /hosts")
    assert " 8192 " in project.sh("cat /shm")
    assert "eth0" not in project.sh("cat /links")
    build = project.stack.services["web"].build
    assert build is not None
    words = " ".join(buildx_argv(build, "t:1", None))
    for wanted in ("--add-host printer:192.0.2.7", "--network none", "--no-cache", "--platform linux/amd64"):
        assert wanted in words
    assert "--cache-from stampede-test/busybox:1" in words
    assert "--pull" in buildx_argv(build.model_copy(update={"pull": True}), "t:1", None)


def test_a_failed_build_names_its_step(project: Project, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(FROM + "RUN echo fine\nRUN echo broken; exit 3\n")
    said: list[str] = []
    with pytest.raises(DaemonError, match="Step 3/"):
        project.docker.images.build(Build(context=str(tmp_path)), f"{project.name}-web", progress=said.append)
    assert "broken" in said


def test_a_context_that_is_not_there_is_bad_input(project: Project, tmp_path: Path) -> None:
    for build in (Build(context=str(tmp_path / "gone")), Build(context=str(tmp_path), dockerfile="Gone")):
        with pytest.raises(BadInput):
            project.docker.images.build(build, f"{project.name}-web")
