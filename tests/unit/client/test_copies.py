"""Exporting and importing what a server knows."""

from __future__ import annotations

from stampede.client import Client
from stampede.client.copies import ServerCopy, bring, copy_server
from tests.fakes.prefect_api import AUTH, FakePrefect, serve


def test_an_import_brings_documents_with_their_secrets_and_variables_but_no_locks(
    prefect: FakePrefect, client: Client
) -> None:
    prefect.put_document("stampede-revision", "shop-r1", {"stack": "shop", "number": 1, "content": "secret"})
    prefect.put_variable("stack-shop", {"latest": 1})
    prefect.put_variable("lock-shop", {"run": "x"})
    text = copy_server(client.api).model_dump_json()
    with serve(FakePrefect()) as other, Client(other.url, AUTH) as there:
        result = bring(there.api, ServerCopy.model_validate_json(text))
        assert set(result.brought) == {"shop-r1", "stack-shop"}
        assert other.documents["stampede-revision/shop-r1"]["data"]["content"] == "secret"
        assert "lock-shop" not in other.variables


def test_importing_twice_changes_nothing(prefect: FakePrefect, client: Client) -> None:
    prefect.put_document("stampede-revision", "shop-r1", {"stack": "shop", "number": 1, "content": "secret"})
    prefect.put_variable("stack-shop", {"latest": 1})
    result = bring(client.api, copy_server(client.api))
    assert result.brought == ()
    assert set(result.kept) == {"shop-r1", "stack-shop"}


def test_more_documents_than_one_page_are_all_copied(prefect: FakePrefect, client: Client) -> None:
    for number in range(450):
        prefect.put_document("stampede-revision", f"shop-r{number}", {"stack": "shop", "content": "x"})
    assert len(copy_server(client.api).documents) == 450
