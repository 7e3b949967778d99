"""Names of the tags by which Stampede keeps the images that its revisions need."""

from __future__ import annotations

import re

KEPT = "stampede.local/"
BUILT_LABEL = "stampede.built"  # on every image we build; the value is the tag it was built for
IDENTITY_DIGITS = 16


def kept_tag(stack: str, service: str, identity: str) -> str:
    """The tag from which containers of a service are made, such as `stampede.local/shop/web:1f2e3d4c5b6a7988`.

    Two services whose names differ only in case or punctuation may share a repository; the identity tells them apart.
    """
    digits = identity.rpartition(":")[2][:IDENTITY_DIGITS]
    return f"{KEPT}{_component(stack)}/{_component(service)}:{digits}"


def kept_stack(tag: str) -> str:
    """The stack of one of these tags, as `kept_tag` spells it."""
    return tag.removeprefix(KEPT).partition("/")[0]


def _component(name: str) -> str:
    """A name as a repository component, which may only hold lower-case words separated by single marks."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower())) or "x"
