"""Logins of image registries, kept as encrypted Prefect blocks that only workers open."""

from __future__ import annotations

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from stampede.blocks.registry_login import RegistryLogin


async def registry_logins() -> dict[str, tuple[str, str]]:
    """User and password for each registry that somebody stored a login for."""
    slug = RegistryLogin.get_block_type_slug()
    async with get_client() as client:
        try:
            stored = await client.read_block_documents_by_type(slug, include_secrets=True)
        except ObjectNotFound:  # nobody has ever stored one
            return {}
    return {d.data["registry"]: (d.data["username"], d.data["password"]) for d in stored}
