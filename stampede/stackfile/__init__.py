"""A stack file, which is a Compose file, becomes a `Stack`; or an error with file, line, key and fix."""

from __future__ import annotations

from stampede.stackfile.canonical import canonical_json, canonical_yaml
from stampede.stackfile.document import read_document
from stampede.stackfile.naming import stack_name
from stampede.stackfile.resolve import LoadedStack, load_stack

__all__ = ["LoadedStack", "canonical_json", "canonical_yaml", "load_stack", "read_document", "stack_name"]
