"""Every key of the specification has a verdict, and the loader obeys it."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from stampede.errors import StackFileError
from stampede.stackfile import read_document
from stampede.stackfile.models import Stack
from stampede.stackfile.verdict_table import VERDICTS
from tests.unit.stackfile.conftest import Project

SPECIFICATION = [
    line
    for line in (Path(__file__).parent / "compose-keys.txt").read_text().splitlines()
    if line and not line.startswith("#")
] + ["services.*.pre_start"]
WEB = "services:\n  web:\n    image: x\n"


def test_every_key_of_the_specification_has_a_verdict() -> None:
    assert [key for key in SPECIFICATION if key not in VERDICTS] == []


def test_no_verdict_is_about_a_key_that_does_not_exist() -> None:
    invented = [key for key in VERDICTS if key not in SPECIFICATION and not key.endswith(".*")]
    assert invented == []


def test_every_verdict_says_why() -> None:
    assert [key for key, v in VERDICTS.items() if v.outcome != "acted on" and not v.why] == []
    assert [key for key, v in VERDICTS.items() if (v.outcome == "refused" or v.only) and not v.fix] == []
    assert [key for key, v in VERDICTS.items() if v.outcome == "acted on" and not v.test] == []


def inner_models(annotation: Any) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """The models in a type, and the pattern that leads to each: `*` into a mapping, `[]` into a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield (), annotation
        return
    origin = get_origin(annotation)
    step = ("*",) if origin is dict else ("[]",) if origin is tuple else ()
    if origin in (dict, tuple, Union, types.UnionType):
        for inner in get_args(annotation):
            for path, model in inner_models(inner):
                yield (*step, *path), model


def fields(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every pattern that a model knows."""
    for name, field in model.model_fields.items():
        yield ".".join((*path, name))
        for inner, below in inner_models(field.annotation):
            yield ".".join((*path, name, *inner))
            yield from fields(below, (*path, name, *inner))


def test_every_key_that_is_acted_on_reaches_a_model() -> None:
    known = set(fields(Stack))
    embedded = {f"{section}.*.{key}" for section in ("configs", "secrets") for key in ("file", "environment")}
    reach = {key for key, v in VERDICTS.items() if v.outcome == "acted on" and not v.resolved}
    missing = {key for key in reach - known - embedded if "blkio_config." not in key}
    assert missing == {"volumes.*.external.name", "networks.*.external.name"}  # the reference makes them `name`


REFUSED = {
    "post_start": ("    post_start: [{command: a}]\n", "services.web.post_start: refused: lifecycle hooks"),
    "volumes_from": ("    volumes_from: [db]\n  db: {image: x}\n", "services.web.volumes_from: refused"),
    "external_links": ("    external_links: [db]\n", "services.web.external_links: refused"),
    "isolation": ("    isolation: hyperv\n", "services.web.isolation: refused"),
    "use_api_socket": ("    use_api_socket: true\n", "services.web.use_api_socket: refused"),
    "models": ("    models: [m]\nmodels: {m: {model: q}}\n", "services.web.models: refused"),
    "build.ssh": ("    build: {context: ., ssh: [default]}\n", "services.web.build.ssh: refused"),
    "subpath": (
        "    volumes: [{type: volume, source: v, target: /v, volume: {subpath: a}}]\nvolumes: {v: }\n",
        "services.web.volumes.0.volume.subpath: refused",
    ),
    "overlay": ("networks: {default: {driver: overlay}}\n", "networks.default.driver: 'overlay' is not acted on"),
    "no IPv4": ("networks: {default: {enable_ipv4: false}}\n", "networks.default.enable_ipv4: False is not acted on"),
    "external config": ("configs: {c: {external: true}}\n", "configs.c.external: refused"),
    "restart": ("    restart: sometimes\n", "services.web.restart: 'sometimes' is not acted on"),
    "foreign namespace": ("    pid: 'container:abc'\n", "services.web.pid: 'container:abc' is not acted on"),
    "image mount": ("    volumes: [{type: image, source: q, target: /z}]\n", "services.web.volumes.0.type: 'image'"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_what_would_change_the_app_if_left_out_is_refused(project: Project, text: str, said: str) -> None:
    with pytest.raises(StackFileError) as failure:
        project.load(WEB + text)
    assert said in str(failure.value)
    assert failure.value.hint


NO_EFFECT = {
    "develop": (
        "    develop: {watch: [{path: ., action: rebuild}]}\n",
        "services.web.develop has no effect",
    ),
    "attach": ("    attach: true\n", "services.web.attach has no effect"),
    "deploy.labels": ("    deploy: {labels: {a: b}}\n", "services.web.deploy.labels has no effect"),
    "endpoint_mode": ("    deploy: {endpoint_mode: vip}\n", "services.web.deploy.endpoint_mode has no effect"),
    "cpu_count": ("    cpu_count: 2\n", "services.web.cpu_count has no effect"),
    "consistency": ("    volumes: [{type: volume, target: /v, consistency: cached}]\n", "volumes.0.consistency has no"),
    "name of a config": ("configs: {c: {content: x, name: y}}\n", "configs.c.name has no effect"),
    "annotations": ("    annotations: {a: b}\n", "no effect on daemons with an API older than 1.43"),
}


@pytest.mark.parametrize(("text", "said"), NO_EFFECT.values(), ids=NO_EFFECT)
def test_what_has_no_effect_is_said(project: Project, text: str, said: str) -> None:
    assert any(said in warning for warning in project.load(WEB + text).warnings)


@pytest.mark.parametrize("text", ["    attach: false\n", "    isolation: default\n", "configs: {c: {content: x}}\n"])
def test_what_asks_for_what_happens_anyway_is_silent(project: Project, text: str) -> None:
    assert project.load(WEB + text).warnings == ()


def test_foreign_extensions_are_kept(project: Project) -> None:
    loaded = project.load(WEB + "    x-team: {a: 1}\n    labels: [x-size=big]\nx-mine: [1, {b: c}]\n")
    assert loaded.stack.extensions == {"x-mine": [1, {"b": "c"}]}
    assert loaded.document["services"]["web"]["x-team"] == {"a": 1}
    assert loaded.stack.services["web"].labels == {"x-size": "big"}


def test_a_key_that_no_table_knows_is_refused() -> None:
    with pytest.raises(StackFileError, match=r"services\.web\.teleport: unknown to this version of Stampede"):
        read_document({"name": "shop", "services": {"web": {"image": "x", "teleport": True}}})


def test_a_document_with_a_refused_key_is_refused_again_where_it_is_read() -> None:
    with pytest.raises(StackFileError, match=r"services\.web\.provider: refused"):
        read_document({"name": "shop", "services": {"web": {"image": "x", "provider": {"type": "q"}}}})
