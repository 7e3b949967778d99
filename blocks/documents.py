"""The stored documents: candidates and revisions of stacks, and what each host reports.

Block documents are encrypted in the database as a whole, and the API gives `content` only to those who ask for secrets.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import BlockDocumentCreate, BlockDocumentUpdate
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from pydantic import Field, SecretStr

from stampede.documents import (
    CANDIDATE_TYPE,
    HOST_REPORT_TYPE,
    REVISION_TYPE,
    Revision,
    document_name,
    revision_name,
)
from stampede.errors import Refused, UnknownName

REMEMBERED = 64
PAGE = 200


class StackCandidate(Block):
    """A resolved stack file on its way to becoming a revision."""

    _block_type_name: ClassVar[str] = "Stampede candidate"
    _block_type_slug: ClassVar[str] = CANDIDATE_TYPE
    stack: str = Field(description="Name of the stack.")
    created: str = Field(default="", description="When it was made, ISO 8601.")
    by: str = Field(default="", description="Who made it.")
    content: SecretStr = Field(description="The resolved Compose document as JSON.")


class StackRevision(Block):
    """One revision of a stack. Created once and never changed."""

    _block_type_name: ClassVar[str] = "Stampede revision"
    _block_type_slug: ClassVar[str] = REVISION_TYPE
    stack: str = Field(description="Name of the stack.")
    number: int = Field(description="1 for the first, one higher each time.")
    created: str = Field(description="When it was made, ISO 8601.")
    by: str = Field(default="", description="Who asked for it.")
    why: str = Field(default="", description="The reason that was given.")
    run: str = Field(default="", description="The flow run that made it.")
    images: dict[str, str] = Field(default_factory=dict, description="Image reference of each service.")
    services: dict[str, int] = Field(default_factory=dict, description="Number of replicas of each service.")
    content: SecretStr = Field(description="The revision as JSON.")


class HostReport(Block):
    """What one host runs, as its worker last saw it."""

    _block_type_name: ClassVar[str] = "Stampede host report"
    _block_type_slug: ClassVar[str] = HOST_REPORT_TYPE
    host: str = Field(description="Name of the host.")
    at: str = Field(description="When the host was looked at, ISO 8601.")
    report: dict[str, Any] = Field(description="What was found there.")


class Documents:
    """The stored documents, through an open client of the Prefect API."""

    _ids: ClassVar[dict[tuple[str, str], tuple[UUID, UUID]]] = {}
    _unchanging: ClassVar[OrderedDict[tuple[str, str, str], dict[str, Any]]] = OrderedDict()

    def __init__(self, client: PrefectClient) -> None:
        self._client = client

    async def read_candidate(self, name: str) -> dict[str, Any]:
        """The resolved Compose document that a client stored. Raises: UnknownName."""
        data = await self._read_unchanging(CANDIDATE_TYPE, name)
        if data is None:
            raise UnknownName(f"there is no candidate {name}", "run `stampede up` again")
        document: dict[str, Any] = json.loads(data["content"])
        return document

    async def create_candidate(self, name: str, stack: str, document: dict[str, Any]) -> None:
        """Afterwards the candidate is stored; a no-op if one of this name is."""
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        data = StackCandidate(stack=stack, created=created, content=SecretStr(json.dumps(document)))
        with suppress(ObjectAlreadyExists):
            await self._create(StackCandidate, name, _plain(data))

    async def find_revision(self, stack: str, number: int) -> Revision | None:
        """The revision, or None if it is not kept."""
        data = await self._read_unchanging(REVISION_TYPE, revision_name(stack, number))
        return None if data is None else Revision.model_validate_json(data["content"])

    async def read_revision(self, stack: str, number: int) -> Revision:
        """Raises: UnknownName."""
        revision = await self.find_revision(stack, number)
        if revision is None:
            hint = f"stampede history -p {stack} lists those that are kept"
            raise UnknownName(f"{stack} has no revision {number}", hint)
        return revision

    async def create_revision(self, revision: Revision) -> None:
        """Afterwards the revision is stored. Raises: Refused if one of that number exists with other content."""
        stack = revision.definition
        data = StackRevision(
            stack=revision.stack,
            number=revision.number,
            created=revision.created.isoformat(timespec="milliseconds"),
            by=revision.by,
            why=revision.why,
            run=revision.run,
            images={name: image.reference for name, image in revision.images.items()},
            services={name: service.replicas for name, service in stack.services.items()},
            content=SecretStr(revision.model_dump_json()),
        )
        name = revision_name(revision.stack, revision.number)
        try:
            await self._create(StackRevision, name, _plain(data))
        except ObjectAlreadyExists as error:
            if await self.read_revision(revision.stack, revision.number) != revision:
                raise Refused(f"revision {name} exists already", "run the command again") from error

    async def forget_revisions(self, stack: str, below: int, but: int) -> None:
        """Afterwards the stack has no revisions with numbers below `below`, except `but`."""
        found: list[BlockDocument] = []
        while len(found) % PAGE == 0:
            page = await self._client.read_block_documents_by_type(
                REVISION_TYPE, offset=len(found), limit=PAGE, include_secrets=False
            )
            found += page
            if not page:
                break
        for document in found:
            data = document.data
            if data["stack"] == stack and data["number"] < below and data["number"] != but:
                await self._client.delete_block_document(document.id)
                self._unchanging.pop((str(self._client.api_url), REVISION_TYPE, str(document.name)), None)

    async def delete_revision(self, stack: str, number: int) -> None:
        """Afterwards there is no such revision."""
        name = revision_name(stack, number)
        await self._delete(REVISION_TYPE, name)
        self._unchanging.pop((str(self._client.api_url), REVISION_TYPE, name), None)

    async def write_report(self, host: str, at: str, report: dict[str, Any]) -> None:
        """Afterwards `report` is the one report of this host."""
        data = _plain(HostReport(host=host, at=at, report=report))
        try:
            found = await self._client.read_block_document_by_name(document_name(host), HOST_REPORT_TYPE)
        except ObjectNotFound:
            await self._create(HostReport, document_name(host), data)
        else:
            await self._client.update_block_document(
                found.id,
                BlockDocumentUpdate(block_schema_id=found.block_schema_id, data=data, merge_existing_data=False),
            )

    async def _read(self, slug: str, name: str) -> dict[str, Any] | None:
        try:
            found = await self._client.read_block_document_by_name(name, slug, include_secrets=True)
        except ObjectNotFound:
            return None
        return dict(found.data)

    async def _read_unchanging(self, slug: str, name: str) -> dict[str, Any] | None:
        """Documents that are created once and never changed are asked for once per process."""
        key = (str(self._client.api_url), slug, name)
        if key not in self._unchanging:
            data = await self._read(slug, name)
            if data is None:
                return None
            self._unchanging[key] = data
            while len(self._unchanging) > REMEMBERED:
                self._unchanging.popitem(last=False)
        return self._unchanging[key]

    async def _create(self, kind: type[Block], name: str, data: dict[str, Any]) -> None:
        type_id, schema_id = await self._identify(kind)
        await self._client.create_block_document(
            BlockDocumentCreate(name=name, data=data, block_type_id=type_id, block_schema_id=schema_id),
            include_secrets=False,
        )

    async def _delete(self, slug: str, name: str) -> None:
        try:
            found = await self._client.read_block_document_by_name(name, slug, include_secrets=False)
        except ObjectNotFound:
            return
        try:
            await self._client.delete_block_document(found.id)
        except ObjectNotFound:
            return  # somebody else was faster

    async def _identify(self, kind: type[Block]) -> tuple[UUID, UUID]:
        """Ids of the block's type and schema, registered on the server at first use of this process."""
        key = (str(self._client.api_url), kind.get_block_type_slug())
        if key not in self._ids:
            await kind.aregister_type_and_schema(client=self._client)
            block_type = await self._client.read_block_type_by_slug(key[1])
            schema = await self._client.read_block_schema_by_checksum(kind._calculate_schema_checksum())
            self._ids[key] = (block_type.id, schema.id)
        return self._ids[key]


def _plain(block: Block) -> dict[str, Any]:
    """The fields as they go over the wire, secrets included."""
    data = {name: getattr(block, name) for name in type(block).model_fields}
    return {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in data.items()}
