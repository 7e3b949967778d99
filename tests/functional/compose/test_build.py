"""Building from a stack file, with the builder that this machine has."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stampede.blocks.docker.builds import buildx_argv, has_buildx
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
    """The classic builder shows them; for buildx, which may not be installed, the command line is looked at."""
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
    assert has_buildx() or " 8192 " in project.sh("cat /shm"), "BuildKit of dockerd 20.10 leaves shm_size out"
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
    with pytest.raises(DaemonError, match=r"Step 3/|\[3/3\]"):
        project.docker.images.build(Build(context=str(tmp_path)), f"{project.name}-web", progress=said.append)
    assert any(line.endswith("broken") for line in said)


def test_a_context_that_is_not_there_is_bad_input(project: Project, tmp_path: Path) -> None:
    for build in (Build(context=str(tmp_path / "gone")), Build(context=str(tmp_path), dockerfile="Gone")):
        with pytest.raises(BadInput):
            project.docker.images.build(build, f"{project.name}-web")


@pytest.fixture
def buildx() -> None:
    if not has_buildx():
        pytest.skip("docker buildx is not installed (Debian 13 has it: apt install docker-buildx)")


def test_buildx_gets_build_arguments_without_showing_them(project: Project, tmp_path: Path, buildx: None) -> None:
    """Neither its command line nor its lines, in which BuildKit puts values into commands, have them."""
    (tmp_path / "Dockerfile").write_text(
        FROM + "ARG TOKEN\nARG HTTP_PROXY\nARG PLAIN\n"
        'RUN sleep 1; echo "$TOKEN $PLAIN" >/token; echo "$HTTP_PROXY" >/proxy; echo "said $TOKEN"\n'
    )
    args = {"TOKEN": f"s3cret-{project.name}", "HTTP_PROXY": "http://u:passw0rd@127.0.0.1:9", "PLAIN": "a b$c"}
    said, seen = list[str](), set[str]()
    ended = threading.Event()
    watching = threading.Thread(target=lambda: seen.update(_command_lines(ended)))
    watching.start()
    build = Build(context=str(tmp_path), args=args)
    project.docker.images.build(build, f"{project.name}-web", progress=said.append)
    ended.set()
    watching.join()
    assert [line for line in seen if f"{project.name}-web" in line], "the program was seen while it worked"
    assert [line for line in (*seen, *said) if args["TOKEN"] in line or "passw0rd" in line] == []
    assert any("said ***" in line for line in said)
    shown = project.client.containers.run(f"{project.name}-web", ["cat", "/token", "/proxy"], remove=True)
    assert shown.decode().splitlines() == [f"{args['TOKEN']} a b$c", args["HTTP_PROXY"]]


def _command_lines(ended: threading.Event) -> Iterator[str]:
    """Those of all docker programs of this host until then."""
    while not ended.wait(0.05):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended meanwhile
                line = path.read_text().replace("\0", " ")
                if "buildx" in line:
                    yield line


def test_build_cache_goes_when_no_build_used_it_for_long_and_images_stay(
    project: Project, tmp_path: Path, buildx: None
) -> None:
    (tmp_path / "Dockerfile").write_text(FROM + f"RUN echo {project.name} >/made\n")
    image = project.docker.images.build(Build(context=str(tmp_path)), f"{project.name}-web")
    assert project.docker.images.prune_cache(3600.0) >= 0
    cached = [one for one in project.client.api.df()["BuildCache"] if project.name in one["Description"]]
    assert cached, "what was just used stays"
    assert project.docker.images.resolve(image.reference, pull_policy="never") == image
