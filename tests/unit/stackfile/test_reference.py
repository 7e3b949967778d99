"""Everything about finding and resolving files works as people know it from Compose: the reference does it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from stampede.stackfile import load_stack
from stampede.stackfile.models import Port
from tests.unit.stackfile.conftest import PROGRAM_ENVIRONMENT, Project

WEB = "services:\n  web:\n    image: web:1\n"


def test_include(project: Project) -> None:
    project.write("part/db.yaml", "services: {db: {image: 'db:${TAG}', volumes: ['./data:/data']}}")
    project.write("part.env", "TAG=7\n")
    (project.directory / "elsewhere").mkdir()
    loaded = project.load(
        "include:\n  - {path: part/db.yaml, env_file: part.env, project_directory: elsewhere}\n" + WEB
    )
    assert loaded.stack.services["db"].image == "db:7"
    assert loaded.stack.services["db"].volumes[0].source == str(project.directory / "elsewhere/data")


def test_env_file(project: Project) -> None:
    project.write("a.env", "A=from file\nB='$raw'\n")
    loaded = project.load(
        WEB
        + "    env_file: [{path: a.env, format: raw}, {path: nope.env, required: false}]\n    environment: {C: '3'}\n"
    )
    assert loaded.stack.services["web"].environment == {"A": "from file", "B": "'$raw'", "C": "3"}


def test_extends(project: Project) -> None:
    project.write("base.yaml", "services: {base: {image: base, restart: always, cap_add: [NET_ADMIN]}}")
    loaded = project.load("services: {web: {extends: {file: base.yaml, service: base}, image: web}}")
    web = loaded.stack.services["web"]
    assert (web.image, web.restart, web.cap_add) == ("web", "always", ("NET_ADMIN",))


def test_label_file(project: Project) -> None:
    project.write("labels.env", "a=b\n")
    assert project.load(WEB + "    label_file: labels.env\n").stack.services["web"].labels == {"a": "b"}


def test_profiles(project: Project) -> None:
    text = WEB + "  debug: {image: debug, profiles: [debug]}\n"
    assert set(project.load(text).stack.services) == {"web"}
    assert set(project.load(text, profiles=["debug"]).stack.services) == {"web", "debug"}
    assert set(project.load(text, environ={"COMPOSE_PROFILES": "debug"}).stack.services) == {"web", "debug"}


def test_several_files_are_merged(project: Project) -> None:
    project.write("prod.yaml", "services: {web: {image: 'web:2', ports: !reset [], scale: 3}}")
    web = project.load(WEB + "    ports: ['80:80']\n    init: true\n", "prod.yaml").stack.services["web"]
    assert (web.image, web.ports, web.replicas, web.init) == ("web:2", (), 3, True)


def test_compose_file_variable(project: Project) -> None:
    project.write("a.yaml", WEB)
    project.write("b.yaml", "services: {web: {scale: 2}}")
    loaded = project.load(None, environ={"COMPOSE_FILE": "a.yaml:b.yaml"})
    assert (loaded.stack.services["web"].replicas, loaded.files) == (2, (Path("a.yaml"), Path("b.yaml")))


def test_compose_file_of_dotenv(project: Project) -> None:
    project.write("a.yaml", WEB)
    project.write(".env", "COMPOSE_FILE=a.yaml\n")
    assert project.load(None).files == (Path("a.yaml"),)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"])
def test_default_file_names(project: Project, name: str) -> None:
    project.write(name, WEB)
    assert project.load(None).files == (Path(name),)


def test_override_file_is_found_too(project: Project) -> None:
    project.write("compose.yaml", WEB)
    project.write("compose.override.yaml", "services: {web: {scale: 2}}")
    loaded = project.load(None)
    assert loaded.stack.services["web"].replicas == 2
    assert loaded.files == (Path("compose.yaml"), Path("compose.override.yaml"))


def test_default_file_of_a_directory_above(project: Project) -> None:
    project.write("compose.yaml", "name: shop\n" + WEB)
    below = project.directory / "a/b"
    below.mkdir(parents=True)
    loaded = load_stack(cwd=below, environ=PROGRAM_ENVIRONMENT)
    assert (loaded.stack.name, loaded.files) == ("shop", (project.directory / "compose.yaml",))


def test_standard_input(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("name: shop\n" + WEB))
    assert project.load(None, "-").stack.name == "shop"


def test_env_files_and_environment_fill_in_variables(project: Project) -> None:
    project.write(".env", "TAG=dotenv\n")
    project.write("prod.env", "TAG=prod\n")
    text = "services: {web: {image: 'web:${TAG}'}}"
    assert project.load(text).stack.services["web"].image == "web:dotenv"
    assert project.load(text, env_files=[Path("prod.env")]).stack.services["web"].image == "web:prod"
    assert project.load(text, environ={"TAG": "mine"}).stack.services["web"].image == "web:mine"


def test_project_name(project: Project) -> None:
    assert project.load("name: shop\n" + WEB, project_name="other").stack.name == "other"
    assert project.load("name: shop\n" + WEB).stack.name == "shop"
    assert project.load("name: shop\n" + WEB, environ={"COMPOSE_PROJECT_NAME": "third"}).stack.name == "third"


def test_short_forms_become_long_ones(project: Project) -> None:
    web = project.load(WEB + "    ports: ['127.0.0.1:7000-7001:80-81/udp', '9000']\n").stack.services["web"]
    assert web.ports == (
        Port(target=80, published="7000", host_ip="127.0.0.1", protocol="udp"),
        Port(target=81, published="7001", host_ip="127.0.0.1", protocol="udp"),
        Port(target=9000),
    )


def test_dollar_signs_arrive_as_written(project: Project) -> None:
    web = project.load(WEB + "    environment: {A: 'a$$b', 'k$$': '$${C}'}\n").stack.services["web"]
    assert web.environment == {"A": "a$b", "k$$": "${C}"}


def test_yaml_1_2_scalars_are_not_misread(project: Project) -> None:
    text = WEB + "x-a: ['yes', '1:30', '2026-01-01', '1e3', '0o17', '1_000', 'null', '~', '=', '', ' a ']\n"
    assert project.load(text).stack.extensions["x-a"] == [
        *("yes", "1:30", "2026-01-01", "1e3", "0o17", "1_000", "null", "~", "=", "", " a ")
    ]


def test_variables_of_several_lines_reach_secrets_whole(project: Project) -> None:
    project.write(".env", 'KEY="-----BEGIN-----\nabc==\n$$x\n-----END-----"\n')
    loaded = project.load("services: {web: {image: x, secrets: [k]}}\nsecrets: {k: {environment: KEY}}\n")
    assert loaded.stack.secrets["k"].content.startswith("-----BEGIN-----\nabc==\n")


def test_contents_of_files_and_variables_are_in_the_document(project: Project) -> None:
    project.write("c.txt", "$content\n")
    loaded = project.load(
        "services: {web: {image: x, configs: [a, b, c], secrets: [s]}}\n"
        "configs: {a: {file: c.txt}, b: {environment: B}, c: {content: 'x ${B}'}}\nsecrets: {s: {file: c.txt}}\n",
        environ={"B": "b\n$"},
    )
    contents = {name: config.content for name, config in loaded.stack.configs.items()}
    assert contents == {"a": "$content\n", "b": "b\n$", "c": "x b\n$"}
    assert loaded.document["secrets"]["s"]["content"] == "$content\n"


def test_an_unused_secret_may_be_missing(project: Project) -> None:
    loaded = project.load(WEB + "secrets: {s: {file: nope.txt}, t: {environment: NOPE}}\n")
    assert loaded.stack.secrets["s"].content == loaded.stack.secrets["t"].content == ""


def test_swarm_warnings_that_are_not_true_of_us_are_dropped(project: Project) -> None:
    loaded = project.load(
        "version: '3'\n" + WEB + "    ports: [{target: 80, mode: host}]\n    configs: [{source: c, mode: 0440}]\n"
        "    deploy: {mode: global, update_config: {parallelism: 2}}\n    environment: {A: $NOPE}\n"
        "configs: {c: {content: x}}\n"
    )
    assert len(loaded.warnings) == 2
    assert 'The "NOPE" variable is not set' in loaded.warnings[0]
    assert "`version` is obsolete" in loaded.warnings[1]


def test_host_directories_are_made_unless_the_file_says_otherwise(project: Project) -> None:
    web = project.load(
        WEB + "    volumes: ['/a:/a', {type: bind, source: /b, target: /b},"
        " {type: bind, source: /c, target: /c, bind: {create_host_path: false}}]\n"
    ).stack.services["web"]
    assert [mount.bind.create_host_path for mount in web.volumes] == [True, True, False]


def test_optional_dependency_may_be_missing(project: Project) -> None:
    text = WEB + "    depends_on: {db: {condition: service_started, required: false}}\n"
    debug = "  db: {image: db, profiles: [debug]}\n"
    assert project.load(text + debug).stack.services["web"].depends_on == {}
    assert "db" in project.load(text + debug, profiles=["debug"]).stack.services["web"].depends_on
