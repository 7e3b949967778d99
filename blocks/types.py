"""The block types of Stampede, in one place for Prefect to find."""

from __future__ import annotations

from prefect.blocks.core import Block

from stampede.blocks.api_results import ApiResults
from stampede.blocks.documents import HostReport, StackCandidate, StackRevision
from stampede.blocks.notification import StampedeNotification
from stampede.blocks.registry_login import RegistryLogin
from stampede.blocks.stores import StampedeStore

BLOCKS: tuple[type[Block], ...] = (
    ApiResults,
    StackCandidate,
    StackRevision,
    HostReport,
    RegistryLogin,
    StampedeStore,
    StampedeNotification,
)

__all__ = [
    "BLOCKS",
    "ApiResults",
    "HostReport",
    "RegistryLogin",
    "StackCandidate",
    "StackRevision",
    "StampedeNotification",
    "StampedeStore",
]
