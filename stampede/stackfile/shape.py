"""Files whose anchors explode or nest without end, which the reference would spend minutes and gigabytes on."""

from __future__ import annotations

import yaml

from stampede.stackfile.complaint import Complaint, Trace
from stampede.stackfile.sources import Sources

DEEPEST = 100  # levels
MOST_NODES = 1_000_000  # scalars, lists and mappings, counted wherever an anchor repeats them


def check_shape(sources: Sources) -> None:
    """Raises: Complaint for a file that nests too deeply, contains itself or grows too large."""
    for file in sources.files:
        for document in file.documents:
            try:
                size = _size(document, {}, ())
            except _TooDeep as found:
                raise Complaint((), str(found), "make it flatter", trace=Trace(str(file.path), found.line)) from None
            if size > MOST_NODES:
                trace = Trace(str(file.path), 1)
                raise Complaint((), "its anchors make it too large to read", "repeat less by *anchors", trace=trace)


class _TooDeep(Exception):
    """At `line`, the nesting has no end that could be reached."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def _size(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int:
    """How many nodes there are with every anchor repeated."""
    if id(node) in known:
        return known[id(node)]
    if id(node) in above:
        raise _TooDeep("an anchor contains itself", node.start_mark.line + 1)
    if len(above) > DEEPEST:
        raise _TooDeep(f"nested more than {DEEPEST} levels deep", node.start_mark.line + 1)
    here = (*above, id(node))
    inner: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        inner = [value for _, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        inner = node.value
    known[id(node)] = 1 + sum(_size(value, known, here) for value in inner)
    return known[id(node)]
