"""Who is told when something goes wrong, on a real server with receivers on loopback."""

from __future__ import annotations

import os
import secrets
import signal
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.functional.operations.conftest import Site, until
from tests.lab.images import BUSYBOX
from tests.lab.receivers import TOKEN, Webhook, mail_server, webhook

pytestmark = pytest.mark.functional
WINDOW_S = 10


@pytest.fixture
def receiver() -> Iterator[Webhook]:
    with webhook() as receiver:
        yield receiver


@pytest.fixture
def name(site: Site) -> Iterator[str]:
    """A notification that nobody else has; afterwards it is gone."""
    name = f"n-{secrets.token_hex(3)}"
    yield name
    site.stampede("notify", "rm", name, check=False)


def add(site: Site, name: str, url: str, *words: str, check: bool = True) -> str:
    """Everything that `notify add` says."""
    file = site.root / f"url-{name}"
    file.write_text(f"{url}\n")
    done = site.stampede("notify", "add", name, "--url-file", file, *words, check=check)
    return done.out + done.err


def emit(site: Site, event: str, stack: str, instance: str = "", **payload: Any) -> None:
    """As the flows of a stack do it."""
    related = [{"prefect.resource.id": f"stampede.instance.{instance}", "prefect.resource.role": "instance"}]
    said = {
        "id": str(uuid.uuid4()),
        "event": f"stampede.{event}",
        "occurred": datetime.now(UTC).isoformat(),
        "resource": {"prefect.resource.id": f"stampede.stack.{stack}", "prefect.resource.name": stack},
        "related": related if instance else [],
        "payload": {"stack": stack, "instance": instance, **payload},
    }
    with site.http() as api:
        api.post("/events", json=[said]).raise_for_status()


def emit_of_volume(site: Site, event: str, name: str) -> None:
    """As flows do it of a volume, `stack/key`."""
    said = {
        "id": str(uuid.uuid4()),
        "event": f"stampede.backup.{event}",
        "occurred": datetime.now(UTC).isoformat(),
        "resource": {
            "prefect.resource.id": f"stampede.volume.{name.replace('/', '.')}",
            "prefect.resource.name": name,
        },
    }
    with site.http() as api:
        api.post("/events", json=[said]).raise_for_status()


def left_of(site: Site, name: str) -> list[Any]:
    """What the server has of a notification."""
    with site.http() as api:
        asked = {"automations": {"tags": {"all_": [f"stampede-notify:{name}"]}}}
        automations = api.post("/automations/filter", json=asked).raise_for_status().json()
        blocks = api.post(
            "/block_documents/filter", json={"block_types": {"slug": {"any_": ["stampede-notification"]}}}
        )
    return [*automations, *(one for one in blocks.raise_for_status().json() if one["name"] == name)]


def logs(site: Site) -> str:
    return "".join(path.read_text() for path in Path(site.places.logs).glob("*.log"))


def test_a_deploy_that_fails_is_told_with_what_failed_and_where_to_look(
    site: Site, receiver: Webhook, name: str, app: str
) -> None:
    said = add(site, name, receiver.url)
    assert "webhook at 127.0.0.1" in said
    file = site.file(f"""
        name: {app}
        services:
          web:
            image: {BUSYBOX}
            command: ["false"]
    """)
    done = site.stampede("up", "-f", file, "-m", "release 7", check=False)
    assert done.code != 0
    until(lambda: receiver.about(f"{app}: deploy failed"), "the message arrives")
    [text] = receiver.about(f"{app}: deploy failed")
    assert "web" in text
    assert "release 7" in text
    with site.http() as api:
        base = str(api.base_url).removesuffix("/api/")
        run = text.split(f"Run: {base}/runs/flow-run/")[1].split()[0]
        assert api.get(f"/flow_runs/{run}").raise_for_status().json()["name"] in (
            f"deploy {app}",
            f"deploy-stack {app}",
        )
    assert TOKEN not in said + logs(site) + done.out + done.err
    site.stampede("down", "-p", app, "--yes", check=False)


def test_a_test_message_arrives_and_nothing_shows_the_address(site: Site, receiver: Webhook, name: str) -> None:
    add(site, name, receiver.url, "--stack", "shop", "--about", "changes", "--about", "backups", "--backup-age", "2d")
    assert "arrived" in site.stampede("notify", "test", name).out
    assert receiver.subjects() == ["Stampede: a test"]
    [shown] = [one for one in site.told("notify", "ls") if one["name"] == name]
    assert (shown["stack"], shown["subjects"], shown["target"]) == (
        "shop",
        ["changes", "backups"],
        "webhook at 127.0.0.1",
    )
    assert (shown["backup_age_s"], shown["trouble"], shown["last"]["trouble"]) == (172800, "", "")
    table = site.stampede("notify", "ls").out
    assert "arrived" in table
    with site.http() as api:
        raw = api.post("/block_documents/filter", json={}).text + api.post("/automations/filter", json={}).text
    assert TOKEN not in table + raw


def test_a_message_that_did_not_arrive_is_said_without_the_address(site: Site, receiver: Webhook, name: str) -> None:
    receiver.status = 403
    add(site, name, receiver.url)
    done = site.stampede("notify", "test", name, check=False)
    assert done.code == 1
    assert "127.0.0.1 answered 403: as you like" in done.err
    assert "403" in site.stampede("notify", "ls").out
    assert TOKEN not in done.out + done.err + logs(site)


def test_a_receiver_that_was_away_for_a_moment_is_told_nevertheless(site: Site, receiver: Webhook, name: str) -> None:
    receiver.status = 503
    add(site, name, receiver.url)
    emit(site, "backup.failed", "shop", message="the store did not answer", hint="look at it", volume="uploads")
    until(lambda: receiver.got, "the first attempt")
    receiver.status = 200
    until(lambda: len(receiver.got) > 1, "the second attempt")
    [first, *_] = receiver.about("shop: backup failed")
    assert "the store did not answer\nWhat to do: look at it\nVolume: uploads" in first


def test_damaged_backups_are_told_by_name(site: Site, receiver: Webhook, name: str) -> None:
    add(site, name, receiver.url, "--about", "backups")
    emit(site, "verify.damaged", "shop", damaged=["uploads@3", "uploads@4"])
    until(lambda: receiver.got, "the message arrives")
    [text] = receiver.about("shop: backups are damaged")
    assert "Damaged: uploads@3, uploads@4." in text


def test_a_name_that_is_taken_is_refused_and_can_be_replaced(site: Site, receiver: Webhook, name: str) -> None:
    add(site, name, receiver.url)
    before = len(left_of(site, name))
    assert "--replace" in add(site, name, receiver.url, check=False)
    add(site, name, receiver.url, "--replace")
    assert len(left_of(site, name)) == before
    add(site, name, receiver.url, "--replace", "--about", "changes")
    assert len(left_of(site, name)) < before


def test_removing_leaves_nothing(site: Site, receiver: Webhook, name: str) -> None:
    add(site, name, receiver.url)
    assert left_of(site, name)
    site.stampede("notify", "rm", name)
    assert left_of(site, name) == []
    assert site.stampede("notify", "rm", name, check=False).code == 2
    assert site.stampede("notify", "test", name, check=False).code == 2


def test_an_address_that_is_none_is_bad_input(site: Site, name: str) -> None:
    assert "no address" in add(site, name, "hooks.slack.com", check=False)
    done = site.stampede("notify", "add", name, check=False)
    assert (done.code, "--url-file" in done.err) == (6, True)
    assert left_of(site, name) == []


def test_mail_comes_by_a_mail_server(site: Site, name: str) -> None:
    with mail_server() as mail:
        words = ("--email", "ops@example.com", "--smtp", f"127.0.0.1:{mail.port}", "--from", "stampede@h1.example")
        site.stampede("notify", "add", name, *words)
        site.stampede("notify", "test", name)
    [letter] = mail.letters
    assert "To: ops@example.com" in letter
    assert "Subject: Stampede: a test" in letter


def test_an_instance_is_told_of_when_it_keeps_dying(site: Site, receiver: Webhook, name: str) -> None:
    add(site, name, receiver.url, "--deaths", "2", "--stack", "shop")
    for stack, instance in (
        ("shop", "shop-web-1"),
        ("shop", "shop-db-1"),
        ("blog", "blog-web-1"),
        ("blog", "blog-web-1"),
    ):
        emit(site, "instance.died", stack, instance, service="web", host="h1", exit_code=3)
    emit(site, "instance.died", "shop", "shop-web-1", service="web", host="h1", exit_code=3)
    emit(site, "instance.out-of-memory", "shop", "shop-db-1", service="db", host="h1")
    until(lambda: len(receiver.got) == 2, "both messages arrive")
    assert sorted(receiver.subjects()) == ["shop: shop-db-1 is out of memory", "shop: shop-web-1 keeps dying"]
    [text] = receiver.about("keeps dying")
    assert "exit code 3" in text


def test_a_backup_that_does_not_come_is_told_and_one_that_comes_is_not(
    site: Site, receiver: Webhook, name: str
) -> None:
    add(site, name, receiver.url, "--backup-age", f"{WINDOW_S}s", "--stack", "shop")
    emit_of_volume(site, "scheduled", "shop/never")
    emit_of_volume(site, "scheduled", "shop/removed")
    emit_of_volume(site, "good", "shop/once")
    emit_of_volume(site, "good", "another/once")
    time.sleep(2)
    emit_of_volume(site, "unscheduled", "shop/removed")
    for _ in range(4):
        emit_of_volume(site, "good", "shop/good")
        time.sleep(WINDOW_S / 2)
    until(lambda: len(receiver.got) >= 2, "the messages arrive")
    assert sorted(receiver.subjects()) == [
        f"shop/never: no good backup for {WINDOW_S} s",
        f"shop/once: no good backup for {WINDOW_S} s",
    ]
    assert "The last good one ended at" in receiver.about("shop/once")[0]
    assert "The last good one ended at" not in receiver.about("shop/never")[0]
    until(lambda: receiver.about("shop/good: no good backup"), "the one that came until now stopped coming")


def test_a_backup_that_does_not_come_while_the_server_is_away_is_told_when_it_is_back(
    fresh_site: Site, receiver: Webhook
) -> None:
    add(fresh_site, "ops", receiver.url, "--backup-age", f"{WINDOW_S}s")
    emit_of_volume(fresh_site, "good", "shop/data")
    time.sleep(1)
    pid = fresh_site.pid("server")
    assert pid
    os.kill(pid, signal.SIGKILL)
    fresh_site.stop()
    time.sleep(WINDOW_S)
    assert receiver.got == []
    fresh_site.start()
    until(lambda: receiver.got, "the message arrives")
    assert receiver.subjects() == [f"shop/data: no good backup for {WINDOW_S} s"]
