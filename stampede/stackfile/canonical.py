"""A loaded stack as text: canonical Compose form, which is itself a stack file that resolves to the same stack."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from stampede.stackfile.resolve import LoadedStack
from stampede.stackfile.yamltext import write_yaml

# JSON allows these in strings as they are; YAML takes some for line breaks and refuses the others. (JSON's own escapes
# for characters beyond U+FFFF are refused by the reference, so not everything is escaped.)
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def canonical_yaml(loaded: LoadedStack) -> str:
    """What `stampede config` prints. No content of secrets: they stay where they come from."""
    return write_yaml(_as_file(loaded.document))


def canonical_json(loaded: LoadedStack) -> str:
    """The same as JSON, which is YAML as well."""
    text = json.dumps(_as_file(loaded.document), indent=2, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _as_file(document: Mapping[str, Any]) -> Any:
    origins = {
        section: {name: _without_copy(item) for name, item in document[section].items()}
        for section in ("configs", "secrets")
        if section in document
    }
    return escape({**document, **origins})


def _without_copy(item: Mapping[str, Any]) -> dict[str, Any]:
    """A config or secret without the content that its file or variable holds."""
    copied = "file" in item or "environment" in item
    return {key: value for key, value in item.items() if key != "content" or not copied}


def escape(value: Any) -> Any:
    """A copy in which every `$` of a value is `$$`, which the reference reads as `$`. It leaves keys as they are."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: escape(item) for key, item in value.items()}
    return [escape(item) for item in value] if isinstance(value, list) else value
