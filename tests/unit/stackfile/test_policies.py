"""What a stack file says about the data of its volumes, and what is wrong with it."""

from __future__ import annotations

import pytest

from stampede.errors import StackFileError
from stampede.retention import Retention
from stampede.stackfile.models import Volume
from stampede.stackfile.policies import DEFAULT_SIZE
from tests.unit.stackfile.conftest import Project

WEB = "services:\n  web:\n    image: x\n    volumes: [data:/data]\n"


def volume(project: Project, text: str) -> Volume:
    return project.load(f"{WEB}volumes:\n  data: {text}\n").stack.volumes["data"]


@pytest.mark.parametrize("text", ["{x-size: 1G}", "{x-snapshots: {}}", "{x-backups: {store: offsite}}"])
def test_any_of_the_three_keys_makes_a_volume_managed(project: Project, text: str) -> None:
    assert volume(project, text).managed
    assert not volume(project, "{labels: {a: b}}").managed


@pytest.mark.parametrize(
    ("text", "size"), [("20GiB", 20 << 30), ("512M", 512 << 20), ("1.5T", 3 << 39), ("67108864", 64 << 20)]
)
def test_sizes_are_powers_of_1024(project: Project, text: str, size: int) -> None:
    assert volume(project, f"{{x-size: {text}}}").size_bytes == size


def test_without_a_size_a_managed_volume_has_the_default(project: Project) -> None:
    assert volume(project, "{x-snapshots: {}}").size_bytes == DEFAULT_SIZE


def test_policies_are_read_whole(project: Project) -> None:
    said = volume(
        project,
        "{x-snapshots: {schedule: '*/15 * * * *', keep: {last: 3}, before_deploy: true}, "
        "x-backups: {store: offsite, schedule: hourly, keep: {daily: 7}, drill: weekly}}",
    )
    assert said.snapshots
    assert said.backups
    assert said.backups.drill
    assert (said.snapshots.schedule, said.snapshots.keep, said.snapshots.before_deploy) == (
        "*/15 * * * *",
        Retention(last=3),
        True,
    )
    assert (said.backups.store, said.backups.schedule, said.backups.keep) == (
        "offsite",
        "0 * * * *",
        Retention(daily=7),
    )
    assert said.backups.drill.schedule == "0 4 * * 0"


def test_hooks_are_commands_and_text_runs_in_a_shell(project: Project) -> None:
    hooks = "    x-hooks: {before_snapshot: [sync], after_snapshot: 'echo $$HOME'}\n"
    stack = project.load(WEB + hooks + "volumes: {data: {x-size: 1G}}\n").stack
    assert stack.services["web"].hooks.before_snapshot == ("sync",)
    assert stack.services["web"].hooks.after_snapshot == ("/bin/sh", "-c", "echo $HOME")


WRONG = {
    "no size": ("{x-size: many}", r"volumes\.data\.x-size: 'many' is no size"),
    "too small": ("{x-size: 1M}", r"volumes\.data\.x-size: a volume has at least 16\.0 MiB"),
    "no schedule": ("{x-snapshots: {schedule: sometimes}}", r"x-snapshots\.schedule: 'sometimes' is no schedule"),
    "wrong field": ("{x-snapshots: {schedule: '61 * * * *'}}", r"x-snapshots\.schedule: '61 \* \* \* \*' is no"),
    "seconds": ("{x-snapshots: {schedule: '* * * * * *'}}", r"x-snapshots\.schedule: .* is no schedule"),
    "negative": ("{x-snapshots: {keep: {last: -1}}}", r"x-snapshots\.keep\.last"),
    "unknown": ("{x-backups: {store: a, hours: 1}}", r"x-backups\.hours: unknown to this version"),
    "no store": ("{x-backups: {schedule: daily}}", r"x-backups\.store: Field required"),
    "external": ("{x-size: 1G, external: true}", r"volumes\.data\.external: a volume with x-size, x-snapshots"),
    "driver": ("{x-size: 1G, driver: nfs}", r"volumes\.data\.driver: a volume with x-size"),
    "drill of nobody": (
        "{x-backups: {store: a, drill: {schedule: daily, service: db}}}",
        r"x-backups\.drill\.service: no service is called db",
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_said_with_file_line_and_key(project: Project, text: str, said: str) -> None:
    with pytest.raises(StackFileError, match=rf"^compose\.yaml:\d+: .*{said}"):
        volume(project, text)


@pytest.mark.parametrize(("at", "key"), [("services", "x-size"), ("services", "x-backups"), ("volumes", "x-hooks")])
def test_a_key_of_ours_in_the_wrong_place_is_an_error(project: Project, at: str, key: str) -> None:
    text = WEB + (
        f"    {key}: {{}}\nvolumes: {{data: }}\n" if at == "services" else f"volumes: {{data: {{{key}: 1}}}}\n"
    )
    with pytest.raises(StackFileError, match=rf"^compose\.yaml:\d+: {at}\.\w+\.{key}: {key} does not belong here"):
        project.load(text)
