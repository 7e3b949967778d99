"""YAML text as plain values and back, read the way the reference's own YAML library reads it.

PyYAML follows YAML 1.1, where `on`, `1:30` and `2026-01-01` are a truth value, a number and a date. The reference
follows the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), where they are strings.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_BOOL, _INT, _FLOAT, _NULL, _MERGE = (f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null", "merge"))
_CORE_SCHEMA = (
    (_BOOL, r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (_INT, r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (_FLOAT, r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    (_NULL, r"~|null|Null|NULL|", "~nN\0"),
    (_MERGE, r"<<", "<"),
)
_NUMBER_TO_OTHERS = re.compile(r"[-+]?\.?[0-9][0-9a-fA-FxXoO_.+-]*")  # `1e3`, `0o17`, `1_000`: strings to YAML 1.1
_BASES = {"0o": 8, "0x": 16}


class CoreLoader(yaml.CSafeLoader):
    """Reads YAML 1.2's core schema, and merge keys. Nodes carry line numbers."""

    yaml_implicit_resolvers: Any = {}


class CoreDumper(yaml.CSafeDumper):
    """Writes block style, and quotes what YAML 1.1 or 1.2 would not read as a string."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _whole_number(loader: CoreLoader, node: yaml.ScalarNode) -> int | str:
    text = str(loader.construct_scalar(node))
    try:
        return int(text, _BASES.get(text[:2], 10))
    except ValueError:  # Python refuses numbers of more than 4300 digits
        return text


def _number(loader: CoreLoader, node: yaml.ScalarNode) -> float:
    return float(loader.construct_scalar(node))


def _text(dumper: CoreDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


for _tag, _pattern, _first in _CORE_SCHEMA:
    CoreLoader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list(_first))
CoreLoader.add_constructor(_INT, _whole_number)
CoreLoader.add_constructor(_FLOAT, _number)
CoreDumper.add_representer(str, _text)
CoreDumper.add_implicit_resolver(_INT, _NUMBER_TO_OTHERS, list("-+.0123456789"))


def read_yaml(text: str) -> Any:
    """The plain value of one YAML document. Raises: yaml.YAMLError."""
    return yaml.load(text, Loader=CoreLoader)  # noqa: S506  CoreLoader is a safe loader


def read_nodes(text: str) -> list[yaml.Node]:
    """The documents of a YAML text as nodes, which know their lines. Raises: yaml.YAMLError."""
    return [node for node in yaml.compose_all(text, Loader=CoreLoader) if node is not None]


def write_yaml(value: Any) -> str:
    """Block-style YAML with the keys in their order."""
    return str(yaml.dump(value, Dumper=CoreDumper, sort_keys=False, allow_unicode=True, width=10_000))
