"""Stores of backups as Prefect blocks: where, how to log in, the keys of the repository, what the server honours."""

from __future__ import annotations

from typing import Any, ClassVar

from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.exceptions import ObjectNotFound
from pydantic import Field, SecretStr

from stampede.backup.honoured import Honoured
from stampede.backup.store import Lock
from stampede.blocks.backups import RepositoryAccess
from stampede.blocks.object_store import S3Address
from stampede.documents import STORE_TYPE
from stampede.errors import UnknownName
from stampede.stores import DEFAULT_REGION, Joining, LockMode


class StampedeStore(Block):
    """A bucket for backups, and the keys of the repository in it. `stampede store add` makes one.

    It is kept as it is here by the client as well (stampede/client/stores.py).
    """

    _block_type_name: ClassVar[str] = "Stampede store"
    _block_type_slug: ClassVar[str] = STORE_TYPE
    bucket: str = Field(description="The bucket.")
    prefix: str = Field(default="", description="What the names of all objects begin with.")
    endpoint: str = Field(default="", description="Address of the server; empty for Amazon's of the region.")
    region: str = Field(default=DEFAULT_REGION, description="Region of the bucket.")
    ca_file: str = Field(default="", description="CA of the server's certificate: a file on every host.")
    access_key: SecretStr = Field(description="Id of the access key.")
    secret_key: SecretStr = Field(description="Its secret.")
    session_token: SecretStr = Field(default=SecretStr(""), description="For credentials that expire.")
    lock_days: int = Field(default=0, description="For how long nobody can delete what backups need; 0 for no lock.")
    lock_mode: LockMode = Field(default="governance", description="Whether some may unlock it, or nobody.")
    recovery_key: SecretStr = Field(description="Opens the repository, anywhere, without this server.")
    master_key: SecretStr = Field(default=SecretStr(""), description="What the recovery key opens, as hex.")
    joining: Joining = Field(default="make", description="Whether the repository was made here, or was there.")
    cluster_id: str = Field(default="", description="Tells this cluster from others of its name in the backups.")
    origin: str = Field(default="", description="What this cluster is called in the backups.")
    repository: str = Field(default="", description="Id of the repository.")
    ready: bool = Field(default=False, description="Whether adding the store has ended.")
    confirmed: bool = Field(default=False, description="Whether somebody has shown to have the recovery key.")
    honoured: dict[str, bool] = Field(default_factory=dict, description="What the server was seen to honour.")
    created: str = Field(default="", description="When it was added, ISO 8601.")
    by: str = Field(default="", description="Who added it.")

    @property
    def address(self) -> S3Address:
        """Where it is, with its credentials. A server that was seen to ignore conditions is not asked for them."""
        token = self.session_token.get_secret_value()
        return S3Address(
            bucket=self.bucket,
            prefix=self.prefix,
            endpoint=self.endpoint or None,
            region=self.region,
            access_key=self.access_key.get_secret_value(),
            secret_key=self.secret_key,
            session_token=SecretStr(token) if token else None,
            ca_file=self.ca_file or None,
            conditional_put=not self.honoured or Honoured.model_validate(self.honoured).several_writers,
        )

    @property
    def lock(self) -> Lock | None:
        """How what is written there is locked."""
        return Lock(mode=self.lock_mode, days=self.lock_days) if self.lock_days else None

    @property
    def access(self) -> RepositoryAccess:
        """What the process that backs up needs."""
        return RepositoryAccess(
            address=self.address, repository=self.repository, master_key=self.master_key, lock=self.lock
        )


class Stores:
    """The stored stores, through an open client of the Prefect API."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client

    async def read(self, name: str) -> StampedeStore:
        """Raises: UnknownName."""
        try:
            found = await self._client.read_block_document_by_name(name, STORE_TYPE, include_secrets=True)
        except ObjectNotFound as error:
            raise UnknownName(
                f"there is no store {name}", "stampede store ls lists them, stampede store add adds one"
            ) from error
        return StampedeStore(**found.data)

    async def names(self) -> list[str]:
        """Of those that are ready, sorted."""
        try:
            found = await self._client.read_block_documents_by_type(STORE_TYPE, include_secrets=False)
        except ObjectNotFound:  # nobody has ever registered the type
            return []
        return sorted(str(each.name) for each in found if each.data.get("ready"))

    async def update(self, name: str, **fields: Any) -> None:
        """Afterwards the store has these fields, and the others as they were. Raises: UnknownName."""
        try:
            found = await self._client.read_block_document_by_name(name, STORE_TYPE, include_secrets=False)
        except ObjectNotFound as error:
            raise UnknownName(f"store {name} was removed meanwhile", "stampede store add adds it again") from error
        await self._client.update_block_document(
            found.id, BlockDocumentUpdate(block_schema_id=found.block_schema_id, data=fields)
        )

    async def drop(self, name: str) -> None:
        """Afterwards there is no store of this name that is not ready."""
        try:
            found = await self._client.read_block_document_by_name(name, STORE_TYPE, include_secrets=False)
            if not found.data.get("ready"):
                await self._client.delete_block_document(found.id)
        except ObjectNotFound:
            return
