"""Blocks: where a thing is, how to log in, a client for it; and the stored documents.

Nothing is imported before it is asked for: the process that backs up is one of these modules and needs no Prefect.
Prefect itself finds the block types by `stampede.blocks.types`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stampede.blocks.types import BLOCKS, ApiResults, HostReport, RegistryLogin, StackCandidate, StackRevision

__all__ = ["BLOCKS", "ApiResults", "HostReport", "RegistryLogin", "StackCandidate", "StackRevision"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from stampede.blocks import types

    return getattr(types, name)
