"""Errors name file, line, key, what was expected and what to do; the reference's own messages included."""

from __future__ import annotations

from pathlib import Path

import pytest

from stampede.errors import NotAvailableYet, PortTaken, StackFileError
from stampede.stackfile import load_stack
from tests.unit.stackfile.conftest import PROGRAM_ENVIRONMENT, Project

WEB = "services:\n  web:\n    image: x\n"

SAID = {
    "unknown key": (
        "services:\n  web:\n    imag: x\n",
        "compose.yaml:3: services.web.imag: no such key (did you mean image?)",
    ),
    "unknown key at the top": ("service: {}\n", "compose.yaml:1: service: no such key (did you mean services?)"),
    "bad name": ("services:\n  'a b': {image: x}\n", "compose.yaml:2: services.a b: no name that Compose allows"),
    "wrong type": (WEB + "    environment: 5\n", "compose.yaml:4: services.web.environment: must be a mapping"),
    "empty service": ("services:\n  web:\n", "compose.yaml:2: services.web: must be a mapping"),
    "unknown volume": (
        WEB + "    volumes:\n      - nope:/x\n",
        "compose.yaml:5: services.web.volumes.nope: there is no volume called nope",
    ),
    "unknown network": (WEB + "    networks: [q]\n", "compose.yaml:4: services.web.networks.q: there is no network"),
    "unknown secret": (WEB + "    secrets: [q]\n", "compose.yaml:4: services.web.secrets.q: there is no secret"),
    "unknown config": (WEB + "    configs: [q]\n", "compose.yaml:4: services.web.configs.q: there is no config"),
    "unknown dependency": (
        WEB + "    depends_on:\n      - db\n",
        "compose.yaml:5: services.web.depends_on.db: there is no service called db",
    ),
    "circle": (
        WEB + "    depends_on: [db]\n  db:\n    image: x\n    depends_on: [web]\n",
        "compose.yaml:7: services.db.depends_on.web: services wait in a circle: db -> web -> db",
    ),
    "no image": ("services:\n  web: {}\n", "compose.yaml:2: services.web: neither image nor build is given"),
    "required variable": (
        "services:\n  web:\n    image: ${TAG:?say which}\n",
        "compose.yaml:3: services.web.image: the variable TAG is not set: say which (set TAG in the environment",
    ),
    "open brace": ("services:\n  web:\n    image: ${TAG\n", "compose.yaml:3: services.web.image: not a variable that"),
    "not a number": (
        WEB + "    deploy:\n      replicas: many\n",
        "compose.yaml:5: services.web.deploy.replicas: expected a whole number",
    ),
    "bad duration": (
        WEB + "    healthcheck:\n      interval: 5q\n",
        "compose.yaml:5: services.web.healthcheck.interval: time: unknown unit",
    ),
    "bad size": (WEB + "    mem_limit: 5q\n", "compose.yaml:4: services.web.mem_limit: invalid suffix"),
    "bad port": (
        WEB + '    ports:\n      - "80:80"\n      - "99999:80"\n',
        "compose.yaml:6: services.web.ports.1: 99999 is no port",
    ),
    "bad protocol": (WEB + '    ports: ["80:80/foo"]\n', "compose.yaml:4: services.web.ports.0: foo is no protocol"),
    "unequal ranges": (WEB + '    ports: ["80-90:1-2"]\n', "compose.yaml:4: services.web.ports.0: the ranges 80-90"),
    "bad device": (WEB + '    devices: ["a:b:c:d"]\n', "compose.yaml:4: services.web.devices.0: a:b:c:d is no device"),
    "bad pull policy": (
        WEB + "    pull_policy: foo\n",
        "compose.yaml:4: services.web.pull_policy: not a value that Compose allows (it must match ^(always|",
    ),
    "contradiction": (
        WEB + "    mem_limit: 1g\n    deploy: {resources: {limits: {memory: 2g}}}\n",
        "compose.yaml:4: services.web.mem_limit: contradicts deploy.resources.limits.memory",
    ),
    "exclusive keys": (
        WEB + "    network_mode: host\n    networks: [default]\n",
        "compose.yaml:4: services.web.network_mode: excludes networks",
    ),
    "missing env file": (WEB + "    env_file: nope.env\n", "compose.yaml:4: services.web.env_file: the env file"),
    "missing include": ("include:\n  - nope.yaml\n", "compose.yaml:2: include.0: "),
    "missing base": (WEB + "    extends: {service: q}\n", "compose.yaml:4: services.web.extends: there is no service"),
    "extends itself": (WEB + "    extends: {service: web}\n", "compose.yaml:4: services.web.extends: extends itself"),
    "missing secret file": (
        WEB + "    secrets: [s]\nsecrets:\n  s:\n    file: nope.txt\n",
        "compose.yaml:7: secrets.s.file: ",
    ),
    "unset secret variable": (
        WEB + "    secrets: [s]\nsecrets:\n  s:\n    environment: NOPE\n",
        "compose.yaml:7: secrets.s.environment: the variable NOPE is not set",
    ),
    "tab": ("services:\n  web:\n\timage: x\n", "compose.yaml:3: column 1: not YAML: found character that cannot"),
    "open list": ("services: [a\n", "compose.yaml:1: column"),
    "duplicate key": (WEB + "    image: y\n", "compose.yaml:4: image is there already, in line 3 (keep one of them)"),
    "unknown anchor": ("services: *nope\n", "compose.yaml:1: column 11: not YAML: unknown anchor"),
    "number as key": (WEB + "x-a:\n  1: 2\n", 'compose.yaml:5: x-a.1: keys must be strings (write "1":)'),
    "list at the top": ("- a\n", "compose.yaml: expected a mapping with services: at the top"),
    "empty file": ("", "compose.yaml: the file is empty"),
    "too deep": (WEB + "x-a:\n  " + "[" * 200 + "]" * 200, "compose.yaml:5: nested more than 100 levels deep"),
    "contains itself": ("services: &s\n  web: *s\n", "compose.yaml:1: an anchor contains itself"),
    "no number": (WEB + "x-a: .nan\n", "compose.yaml: "),
}


@pytest.mark.parametrize(("text", "said"), SAID.values(), ids=SAID)
def test_the_error_says_where_and_what_to_do(project: Project, text: str, said: str) -> None:
    with pytest.raises(StackFileError) as failure:
        project.load(text)
    assert str(failure.value).startswith(said)


def test_the_last_file_with_the_key_is_named(project: Project) -> None:
    project.write("more.yaml", "services:\n  web:\n    restart: sometimes\n")
    with pytest.raises(StackFileError, match=r"^more\.yaml:3: services\.web\.restart: 'sometimes' is not acted on"):
        project.load(WEB + "    restart: always\n", "more.yaml")


def test_broken_yaml_names_the_file_that_is_broken(project: Project) -> None:
    project.write("more.yaml", "services:\n  web: {\n")
    with pytest.raises(StackFileError, match=r"^more\.yaml:\d+: column"):
        project.load(WEB, "more.yaml")


def test_an_included_file_is_named(project: Project) -> None:
    project.write("part/compose.yaml", "services:\n  db:\n    imag: x\n")
    with pytest.raises(StackFileError, match=r"part/compose\.yaml:3: services\.db\.imag: no such key"):
        project.load("include: [part/compose.yaml]\n" + WEB)


def test_a_merged_key_is_found_where_it_is_written(project: Project) -> None:
    text = "x-base: &base\n  restart: sometimes\nservices:\n  web:\n    <<: *base\n    image: x\n"
    with pytest.raises(StackFileError, match=r"^compose\.yaml:2: services\.web\.restart"):
        project.load(text)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("nope.yaml", r"^nope\.yaml: .*no such file"),
        (".", r"^\.: .* is a directory \(say -f"),
        ("a\0b", r"is no name"),
    ],
)
def test_a_file_that_cannot_be_read(project: Project, file: str, said: str) -> None:
    with pytest.raises(StackFileError, match=said):
        project.load(None, file)


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(StackFileError, match=r"there is no compose\.yaml here .*\(say -f FILE\)"):
        load_stack(cwd=tmp_path, environ=PROGRAM_ENVIRONMENT)


def test_a_directory_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(StackFileError, match="nowhere"):
        load_stack(cwd=tmp_path / "nowhere", environ=PROGRAM_ENVIRONMENT)


@pytest.mark.parametrize(
    "key", ["x-machine", "x-images", "x-security-groups", "x-load-balancers", "x-update", "x-recovery"]
)
def test_keys_of_later_releases_are_not_available_yet(project: Project, key: str) -> None:
    with pytest.raises(NotAvailableYet, match=rf"^compose\.yaml:4: services\.web\.{key}: .* are not available yet"):
        project.load(WEB + f"    {key}: {{}}\n")


@pytest.mark.parametrize(("misspelt", "meant"), [("x-backup", "x-backups"), ("x-security_groups", "x-security-groups")])
def test_a_misspelt_key_of_ours_is_an_error(project: Project, misspelt: str, meant: str) -> None:
    said = rf"^compose\.yaml:4: {misspelt}: no such extension \(did you mean {meant}\?"
    with pytest.raises(StackFileError, match=said):
        project.load(WEB + f"{misspelt}: {{}}\n")


def test_anchors_that_explode_are_refused_before_anyone_reads_them(project: Project) -> None:
    rows = [f"x-{b}: &{b} [{', '.join(['*' + a] * 9)}]" for a, b in zip("abcdefghi", "bcdefghij", strict=True)]
    with pytest.raises(StackFileError, match=r"^compose\.yaml:1: its anchors make it too large"):
        project.load("\n".join(["x-a: &a [lol]", *rows, WEB]))


def test_an_error_found_later_is_told_with_the_place_of_its_key(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services:\n  web:\n    image: x\n    ports: ['80:80']\n")
    loaded = load_stack([file], environ=PROGRAM_ENVIRONMENT)
    placed = loaded.placed(PortTaken("services.web.ports: port *:80 is in use", "stop it"))
    assert (type(placed), placed.message, placed.hint) == (
        PortTaken,
        f"{file}:4: services.web.ports: port *:80 is in use",
        "stop it",
    )
    other = PortTaken("port *:80 is in use")
    assert loaded.placed(other) is other
