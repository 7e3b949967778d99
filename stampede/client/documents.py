"""Documents in the Prefect API: block documents of one type each, by plain HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stampede.client.api import PAGE, NameTaken, PrefectApi
from stampede.errors import StampedeError


@dataclass(frozen=True)
class Document:
    """A stored document. Secret fields of `data` are stars unless they were asked for."""

    id: str
    name: str
    data: dict[str, Any]


@dataclass(frozen=True)
class _Type:
    id: str
    schema: str


class Documents:
    """The documents of one type, such as `stampede-candidate`."""

    def __init__(self, api: PrefectApi, slug: str) -> None:
        self._api = api
        self._slug = slug
        self._known: _Type | None = None

    def create(self, name: str, data: dict[str, Any]) -> None:
        """Afterwards the document exists. Raises: NameTaken when one of this name does already."""
        kind = self._type()
        self._api.post(
            "/block_documents/",
            {"name": name, "data": data, "block_type_id": kind.id, "block_schema_id": kind.schema},
        )

    def create_unless_there(self, name: str, data: dict[str, Any]) -> bool:
        """Afterwards a document of this name exists; whether it is the one given here."""
        try:
            self.create(name, data)
        except NameTaken:
            return False
        return True

    def read(self, name: str, *, secrets: bool = False) -> Document | None:
        """The document of this name, or None."""
        path = f"/block_types/slug/{self._slug}/block_documents/name/{name}"
        found = self._api.get(path, include_secrets=secrets)
        return _document(found) if found else None

    def read_all(self, *, secrets: bool = False) -> list[Document]:
        """All documents of this type, by name; none when the server has never seen the type."""
        found: list[Document] = []
        while True:
            body = {
                "block_types": {"slug": {"any_": [self._slug]}},
                "include_secrets": secrets,
                "limit": PAGE,
                "offset": len(found),
            }
            page = self._api.post("/block_documents/filter", body)
            found += [_document(each) for each in page]
            if len(page) < PAGE:
                return found

    def update(self, document: Document, data: dict[str, Any]) -> None:
        """Afterwards the document has these fields, and the others as they were."""
        body = {"data": data, "merge_existing_data": True, "block_schema_id": self._type().schema}
        self._api.patch(f"/block_documents/{document.id}", body)

    def delete(self, document: Document) -> None:
        """Afterwards this document is gone."""
        self._api.delete(f"/block_documents/{document.id}")

    def _type(self) -> _Type:
        if self._known is None:
            kind = self._api.get(f"/block_types/slug/{self._slug}")
            if kind is None:
                raise StampedeError(
                    f"the server at {self._api.url} knows no documents of type {self._slug}",
                    "its workers register them when they start: stampede server status on that machine shows them",
                )
            body = {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}, "limit": PAGE}
            newest = max(self._api.post("/block_schemas/filter", body), key=lambda schema: str(schema["created"]))
            self._known = _Type(kind["id"], newest["id"])
        return self._known


def _document(found: dict[str, Any]) -> Document:
    return Document(found["id"], found["name"], found["data"])
