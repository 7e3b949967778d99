"""Addresses, durations and the automations of a notification: pure."""

from __future__ import annotations

import pytest

from stampede.errors import BadInput
from stampede.notify.addresses import described, mail_address, webhook_body, without
from stampede.notify.models import Notification, age_in_words, check_name, check_subjects, parse_age
from stampede.notify.rules import rules

SLACK = "https://hooks.slack.com/services/T0/B0/secret"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (SLACK, "webhook at hooks.slack.com"),
        ("http://user:password@10.0.0.7:8080/hook?key=secret", "webhook at 10.0.0.7"),
        ("mailtos://user:password@smtp.example.com/?to=ops@example.com", "mail to ops@example.com"),
        ("ntfy://secret@ntfy.example.com/topic", "ntfy (Apprise)"),
    ],
)
def test_what_is_shown_of_an_address_holds_no_secret(address: str, shown: str) -> None:
    assert described(address) == shown


@pytest.mark.parametrize("text", ["hooks.slack.com/x", "https://[::1/x", "a b", "https://x/a b", "mailto:"])
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(BadInput) as error:
        described(text)
    assert text not in str(error.value)


def test_each_service_gets_what_it_takes() -> None:
    assert webhook_body(SLACK, "a", "b") == {"text": "a\nb"}
    assert webhook_body("https://discord.com/api/webhooks/1/x", "a", "b" * 3000)["content"].startswith("a\nbbb")
    assert len(webhook_body("https://discord.com/api/webhooks/1/x", "a", "b" * 3000)["content"]) < 2000
    assert webhook_body("http://10.0.0.7/x", "a", "b") == {"text": "a\nb", "subject": "a", "body": "b"}


def test_errors_are_said_without_the_address() -> None:
    said = without(SLACK, f"no answer from {SLACK}, /services/T0/B0/secret is unknown")
    assert "secret" not in said
    assert said.startswith("no answer from ")


def test_a_mailbox_and_a_mail_server_are_an_address() -> None:
    address = mail_address("ops@example.com,b@example.com", "relay.example.com:2525", "stampede@h1.example.com")
    assert address.startswith("mailto://relay.example.com:2525/?")
    assert described(address) == "mail to ops@example.com,b@example.com"


@pytest.mark.parametrize(
    ("to", "smtp", "sender"),
    [
        ("ops", "localhost", "a@b.example"),
        ("ops@example.com", "localhost:x", "a@b.example"),
        ("ops@example.com", "user:pw@relay", "a@b.example"),
        ("ops@example.com", "localhost", "stampede@localhost"),
    ],
)
def test_what_is_no_mailbox_or_mail_server_is_refused(to: str, smtp: str, sender: str) -> None:
    with pytest.raises(BadInput):
        mail_address(to, smtp, sender)


@pytest.mark.parametrize(
    ("text", "seconds", "words"), [("26h", 93600, "26 h"), ("90m", 5400, "90 min"), ("2d", 172800, "2 d")]
)
def test_ages_are_read_and_said(text: str, seconds: float, words: str) -> None:
    assert parse_age(text) == seconds
    assert age_in_words(seconds) == words


@pytest.mark.parametrize("text", ["", "26", "h", "1s", "-2h", "2 weeks"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_age(text)


def test_names_and_subjects_are_checked() -> None:
    assert check_name("ops-2") == "ops-2"
    assert check_subjects(()) == ("changes", "backups", "instances", "pools")
    assert check_subjects(("backups", "changes")) == ("changes", "backups")
    with pytest.raises(BadInput, match="changes, backups"):
        check_subjects(("weather",))
    with pytest.raises(BadInput):
        check_name("Ops!")


def test_one_stack_is_told_of_alone_and_pools_are_of_no_stack() -> None:
    everything, one = (rules(Notification(name="ops", target="x", stack=stack)) for stack in ("", "shop"))
    assert {rule.about for rule in everything} - {rule.about for rule in one} == {"a pool is full"}
    assert {rule.resource for rule in one} == {"stampede.stack.shop", "stampede.volume.shop.*", "stampede.notify.ops"}


def test_a_good_backup_of_a_volume_begins_the_next_wait_and_the_end_of_its_schedule_ends_it() -> None:
    [missing] = [rule for rule in rules(Notification(name="ops", target="x")) if rule.proactive]
    trigger = missing.automation("ops", "id")["trigger"]
    assert "stampede.backup.good" in set(trigger["after"]) & set(trigger["expect"])
    assert "stampede.backup.unscheduled" in trigger["expect"]
    assert (trigger["match"], trigger["for_each"]) == (
        {"prefect.resource.id": "stampede.volume.*"},
        ["prefect.resource.id"],
    )
    assert trigger["within"] == 26 * 3600
