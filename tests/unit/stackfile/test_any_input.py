"""No input makes a traceback: whatever a file holds, it is a stack or an error with a message."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from stampede.errors import StampedeError
from stampede.stackfile import canonical_json, canonical_yaml, load_stack, read_document
from stampede.stackfile.verdict_table import VERDICTS
from tests.unit.stackfile.conftest import PROGRAM_ENVIRONMENT

FEW = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
MANY = settings(max_examples=500, deadline=None, derandomize=True)

VALID: dict[str, Any] = {
    "name": "shop",
    "services": {
        "web": {
            "image": "web:1",
            "command": ["serve", "--all"],
            "environment": {"A": "1"},
            "ports": ["8080:80", {"target": 81, "published": "81-89", "protocol": "udp"}],
            "volumes": ["data:/data", {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1m"}}],
            "networks": {"default": {"aliases": ["w"]}},
            "depends_on": {"db": {"condition": "service_started"}},
            "healthcheck": {"test": ["CMD", "true"], "interval": "2s"},
            "deploy": {"replicas": 2, "resources": {"limits": {"cpus": "0.5", "memory": "64m"}}},
            "configs": [{"source": "c", "target": "/c", "mode": 0o440}],
            "ulimits": {"nofile": {"soft": 10, "hard": 20}},
            "links": ["db:database"],
        },
        "db": {"image": "db:1", "restart": "always", "cap_add": ["NET_ADMIN"], "labels": {"a": "b"}},
    },
    "volumes": {"data": {"labels": {"x": "y"}}},
    "networks": {"default": {"ipam": {"config": [{"subnet": "10.9.0.0/24"}]}}},
    "configs": {"c": {"content": "hello"}},
    "x-note": {"a": [1, "b"]},
}
YAML_WORDS = [
    *"{}[]:,-#&*!|>'\"%@`?\t\n ~$",
    *("\n  ", "\n    ", ": ", "- ", "<<: *a", "&a ", "!!int ", "!!binary ", "---\n", "${X}", "1e999", ".nan", "0x1f"),
    *("services:", "image: x", "ports:", "name: ", "web:", "\x00", "\x85", "\ufeff", "\u2028", "é"),
]
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["80:80", "1s", "${A}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
known_words = st.sampled_from(sorted({word for key in VERDICTS for word in key.split(".")}))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a tree."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A valid file with one to three things replaced, added or taken away."""
    tree = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from([path for path in places(tree) if path]))
        node: Any = tree
        for part in above:
            node = node[part]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "remove":
            del node[last]
        elif action == "add" and isinstance(node, dict):
            node[draw(known_words)] = draw(plain)
        else:
            node[last] = draw(plain)
        if not tree:
            break
    return tree


def outcome(text: bytes) -> None:
    """Load a file with this text. It makes a stack, or an error with a message; anything else is raised."""
    with TemporaryDirectory() as directory:
        (Path(directory) / "compose.yaml").write_bytes(text)
        try:
            loaded = load_stack([Path("compose.yaml")], cwd=Path(directory), environ=PROGRAM_ENVIRONMENT)
        except StampedeError as error:
            complain_without_a_message(error)
            return
        json.dumps(loaded.document, allow_nan=False)
        assert read_document(loaded.document) == loaded.stack
        assert canonical_yaml(loaded)
        assert canonical_json(loaded)


def complain_without_a_message(error: StampedeError) -> None:
    assert error.message, "an error without a message"


@FEW
@given(st.lists(st.sampled_from(YAML_WORDS) | st.text(max_size=3), max_size=25).map("".join))
def test_yaml_like_text_makes_a_stack_or_an_error(text: str) -> None:
    outcome(text.encode("utf-8", "surrogatepass"))


@FEW
@given(st.binary(max_size=60))
def test_bytes_make_a_stack_or_an_error(text: bytes) -> None:
    outcome(text)


@FEW
@given(mutated())
def test_a_broken_stack_file_makes_a_stack_or_an_error(tree: Any) -> None:
    outcome(json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@settings(FEW, max_examples=12)
@given(mutated())
def test_what_config_prints_resolves_to_the_same(tree: Any) -> None:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "compose.yaml"
        file.write_bytes(json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        try:
            loaded = load_stack([file], environ=PROGRAM_ENVIRONMENT)
        except StampedeError:
            reject()
        for print_it in (canonical_yaml, canonical_json):
            file.write_text(print_it(loaded), newline="")
            again = load_stack([file], environ=PROGRAM_ENVIRONMENT)
            assert again.document == loaded.document
            assert again.stack == loaded.stack


@MANY
@given(mutated() | plain)
def test_a_broken_document_makes_a_stack_or_an_error(tree: Any) -> None:
    document = tree if isinstance(tree, dict) else {"services": tree}
    try:
        read_document(document)
    except StampedeError as error:
        complain_without_a_message(error)


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe\x00",
        b"services: {w: {image: x, environment: {A: '\xff'}}}",
        b"a: &a [*a]\nservices: {w: {image: x}}",
        b"services: &s {w: *s}",
        b"x-a: &a {b: *a}\nservices: {w: {image: x}}",
        b"services: {w: {image: x, cpus: " + b"9" * 5000 + b"}}",
        b"x-n: " + b"9" * 5000 + b"\nservices: {w: {image: x}}",
        b"x-n: " + b"[" * 3000 + b"]" * 3000,
        b"services: {w: {image: x, ports: [" + b"1" * 400 + b"]}}",
        b"services: {w: {image: x, deploy: {replicas: 9223372036854775807}}}",
        b"services: {w: {image: x}}\n---\nservices: {v: {image: x}}\n",
        b"? [a, b]\n: c\n",
        b"<<: 5\nservices: {w: {image: x}}",
        b"services: {w: {<<: [{image: x}, {image: y}]}}",
        b"services: {w: &a {<<: &b {<<: *a}, restart: sometimes}}",
        b"x-n: " + b"{a: " * 3000 + b"}" * 3000,
        b"x-a: &a [l,l,l,l,l,l,l,l]\n"
        + b"".join(b"x-%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % (c, c, *[c - 1] * 8) for c in range(98, 108)),
    ],
    ids=lambda text: repr(text[:40]),
)
def test_odd_files_make_a_stack_or_an_error(text: bytes) -> None:
    outcome(text)
