"""What may be a password is never repeated in an error or a warning."""

from __future__ import annotations

import pytest

from stampede.errors import StackFileError
from stampede.stackfile import canonical_json, canonical_yaml
from tests.unit.stackfile.conftest import Project

PASSWORD = "hunter2-hunter2"  # what all of these must not say


@pytest.mark.parametrize(
    "text",
    [
        f"services:\n  web:\n    image: x\n    environment:\n      PASSWORD: ${{X:?{PASSWORD}\n",
        f"services:\n  web:\n    image: x\n    environment:\n      PASSWORD: [{PASSWORD}]\n",
        f"services:\n  web:\n    image: x\n    environment: ['PASSWORD={PASSWORD}', {{a: b}}]\n",
        "services:\n  web:\n    image: x\n    ports: ['${PASSWORD}:80']\n",
        "services:\n  web:\n    image: x\n    restart: ${PASSWORD}\n",
        "services:\n  web:\n    image: x\n    deploy: {replicas: '${PASSWORD}'}\n",
        "services:\n  web:\n    image: x\n    mem_limit: ${PASSWORD}\n",
        "services:\n  web:\n    image: x\n    healthcheck: {interval: '${PASSWORD}'}\n",
        "services:\n  web:\n    image: x\n    depends_on: ['${PASSWORD}']\n",
        "services:\n  web:\n    image: x\n    volumes: ['${PASSWORD}:/x']\n",
    ],
)
def test_errors_do_not_repeat_what_may_be_secret(project: Project, text: str) -> None:
    with pytest.raises(StackFileError) as failure:
        project.load(text, environ={"PASSWORD": PASSWORD})
    assert PASSWORD not in str(failure.value)


def test_values_of_env_files_are_not_repeated(project: Project) -> None:
    project.write(".env", f"PASSWORD={PASSWORD}\n")
    with pytest.raises(StackFileError) as failure:
        project.load("services:\n  web:\n    image: x\n    restart: ${PASSWORD}\n")
    assert PASSWORD not in str(failure.value)


def test_warnings_do_not_repeat_what_may_be_secret(project: Project) -> None:
    loaded = project.load(
        "services:\n  web:\n    image: x\n    environment: {A: '${PASSWORD}', B: '${NOPE}'}\n    attach: true\n",
        environ={"PASSWORD": PASSWORD},
    )
    assert any("NOPE" in warning for warning in loaded.warnings)
    assert PASSWORD not in str(loaded.warnings)


def test_config_does_not_print_secrets_that_come_from_elsewhere(project: Project) -> None:
    project.write("password.txt", PASSWORD)
    loaded = project.load(
        "services: {web: {image: x, secrets: [a, b]}}\n"
        "secrets: {a: {file: password.txt}, b: {environment: PASSWORD}}\n",
        environ={"PASSWORD": PASSWORD},
    )
    assert {loaded.stack.secrets[name].content for name in "ab"} == {PASSWORD}
    assert PASSWORD not in canonical_yaml(loaded) + canonical_json(loaded)


def test_names_of_services_are_no_secrets(project: Project) -> None:
    text = "services:\n  web:\n    image: x\n    environment: {DB: database}\n  database:\n    imag: x\n"
    with pytest.raises(StackFileError, match=r"^compose\.yaml:6: services\.database\.imag: "):
        project.load(text)


def test_short_words_inside_others_are_left_alone(project: Project) -> None:
    text = "services:\n  web:\n    image: x\n    environment: {DB: data}\n  database:\n    imag: x\n"
    with pytest.raises(StackFileError, match=r"services\.database\.imag: "):
        project.load(text)
