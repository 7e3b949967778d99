"""The stack's files as the user wrote them: where in them a key stands, and which words must not be repeated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from stampede.stackfile.complaint import Complaint, Trace
from stampede.stackfile.complaint import Path as KeyPath
from stampede.stackfile.yamltext import read_nodes

_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_CONFIDENTIAL = ("environment", "args", "content", "labels", "driver_opts", "options", "command", "entrypoint")
STDIN = Path("-")
SHORTEST_SECRET = 4
MOST_DIGITS = 6  # of an item's place in a list


@dataclass(frozen=True)
class Source:
    """One file; `label` is how the user called it, `path` where it is. A file that cannot be read has no text."""

    label: str
    text: str
    path: Path = STDIN

    @cached_property
    def documents(self) -> list[yaml.Node]:
        try:
            return read_nodes(self.text)
        except (yaml.YAMLError, ValueError, RecursionError):
            return []  # the reference says what is wrong with it

    def line_of(self, path: KeyPath) -> tuple[int, int]:
        """How many keys of the path this file has, and the line (from 1) of the last of them."""
        return max((_descend(document, path) for document in self.documents), default=(0, 1))


@dataclass(frozen=True)
class Sources:
    """All files of a stack, later ones overriding earlier ones."""

    files: tuple[Source, ...]

    @classmethod
    def read(cls, files: Sequence[Path], cwd: Path, stdin: str) -> Sources:
        """Never raises: what cannot be read is the reference's to complain about."""
        return cls(tuple(Source("-", stdin) if file == STDIN else _source(file, cwd) for file in files))

    def find(self, complaint: Complaint) -> tuple[KeyPath, str]:
        """The key path of a complaint and `file:line` of it, as far as they can be found."""
        trace = complaint.trace
        if trace.word:
            return next(self._holding(trace), ((), self._only))
        if trace.line:
            return complaint.path, f"{self._broken(trace.file).label}:{trace.line}"
        if trace.file and self._called(trace.file) is None:  # an included file, or one that is extended from
            return complaint.path, Sources((_source(Path(trace.file)),)).place_of(complaint.path)
        return complaint.path, self.place_of(complaint.path)

    def _holding(self, trace: Trace) -> Iterator[tuple[KeyPath, str]]:
        for path, text, where in self.scalars():
            if trace.word in text and (not trace.key or trace.key in path):
                yield path, where

    def place_of(self, path: KeyPath) -> str:
        """`file:line` of the last file that has the key, or of the nearest key above it."""
        found = [(depth, at, line) for at, file in enumerate(self.files) for depth, line in [file.line_of(path)]]
        depth, at, line = max(found, default=(0, 0, 0))
        return f"{self.files[at].label}:{line}" if depth else self._only

    @property
    def _only(self) -> str:
        return self.files[0].label if len(self.files) == 1 else ""

    def _called(self, name: str) -> Source | None:
        """The file that the reference calls by this absolute path."""
        path = Path(name).resolve()
        return next((file for file in self.files if file.path == path), None)

    def _broken(self, name: str) -> Source:
        """The file that is no YAML: the one of this name, else the first that cannot be read."""
        if name:
            return self._called(name) or Source(name, "")
        return next(
            (file for file in self.files if not file.documents), self.files[0] if self.files else Source("", "")
        )

    def scalars(self) -> Iterator[tuple[KeyPath, str, str]]:
        """Key path, text and `file:line` of every scalar in every file."""
        for file in self.files:
            for document in file.documents:
                for path, node in _scalars(document):
                    yield path, str(node.value), f"{file.label}:{node.start_mark.line + 1}"

    def confidential(self, environ: Mapping[str, str]) -> re.Pattern[str] | None:
        """What must not be repeated: words that may be passwords, and the values of variables that the files mention.

        Words that are keys of the files as well (an address that is also the name of a service) are no secret.
        """
        literal = {text for path, text, _ in self.scalars() if _may_hold_secrets(path)}
        literal |= {word.partition("=")[2] for word in literal}
        named = {name for file in self.files for name in _VARIABLE.findall(file.text)}
        variable = {environ[name] for name in named if name in environ}
        public = {part for path, _, _ in self.scalars() for part in path}
        words = [rf"(?<![\w.-]){re.escape(word)}(?![\w.-])" for word in _longest_first(literal - public)]
        words += [re.escape(word) for word in _longest_first(variable - public)]
        return re.compile("|".join(words)) if words else None


def _longest_first(words: set[str]) -> list[str]:
    return sorted((word for word in words if len(word) >= SHORTEST_SECRET), key=len, reverse=True)


def _may_hold_secrets(path: KeyPath) -> bool:
    """`environment` of a config or secret is the name of a variable, not a value."""
    if path[:1] in (("configs",), ("secrets",)) and path[-1] == "environment":
        return False
    return bool(set(path[2:]) & set(_CONFIDENTIAL))


def _source(file: Path, cwd: Path = Path()) -> Source:
    path = (cwd / file).resolve()
    try:
        if not path.is_file():  # a pipe can be read once only, and that is for the reference to do
            return Source(str(file), "", path)
        return Source(str(file), path.read_text(encoding="utf-8", errors="replace"), path)
    except (OSError, ValueError):
        return Source(str(file), "", path)


def _descend(node: yaml.Node, path: KeyPath) -> tuple[int, int]:
    line = node.start_mark.line + 1
    for depth, part in enumerate(path):
        found = _child(node, part)
        if found is None:
            return depth, line
        line, node = found
    return len(path), line


def _child(node: yaml.Node, part: str, merging: tuple[yaml.Node, ...] = ()) -> tuple[int, yaml.Node] | None:
    """Line and node of one key or item; merged mappings (`<<`) count."""
    if isinstance(node, yaml.SequenceNode):
        if part.isdecimal() and len(part) <= MOST_DIGITS and int(part) < len(node.value):
            item: yaml.Node = node.value[int(part)]
            return item.start_mark.line + 1, item
        return next(
            (
                (item.start_mark.line + 1, item)
                for item in node.value
                if isinstance(item, yaml.ScalarNode) and re.split("[=:]", str(item.value))[0] == part
            ),
            None,
        )
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == part:
            return key.start_mark.line + 1, value
    merged = [value for key, value in node.value if isinstance(key, yaml.ScalarNode) and key.value == "<<"]
    above = (*merging, node)  # an anchor may merge itself
    return next((found for v in merged if v not in above and (found := _child(v, part, above))), None)


def _scalars(document: yaml.Node) -> Iterator[tuple[KeyPath, yaml.ScalarNode]]:
    """Each scalar once, in the order of the file, however often and deep anchors repeat it."""
    seen: set[int] = set()
    ahead: list[tuple[KeyPath, yaml.Node]] = [((), document)]
    while ahead:
        path, node = ahead.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield path, node
        elif isinstance(node, yaml.MappingNode):
            ahead += [((*path, str(key.value)), value) for key, value in reversed(node.value)]
        elif isinstance(node, yaml.SequenceNode):
            ahead += [((*path, str(at)), value) for at, value in reversed(list(enumerate(node.value)))]
