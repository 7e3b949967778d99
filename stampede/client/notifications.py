"""Notifications over the API: each is a block with its address, and automations that use it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from stampede.client.api import NameTaken, PrefectApi
from stampede.client.documents import Document, Documents
from stampede.errors import Refused, StampedeError, UnknownName
from stampede.frozen import Frozen
from stampede.notify.models import NOTIFICATION_TYPE, Notification
from stampede.notify.rules import SCHEDULED, TEST_EVENT, rules, tag_of, test_resource
from stampede.planning.schedules import BACKUP_FLOW

ANSWER_WITHIN_S = 60.0
_ENDS = {"executed": "prefect.automation.action.executed", "failed": "prefect.automation.action.failed"}


class Sent(Frozen):
    """What became of the last message of a notification: when it was sent, and what went wrong, empty if nothing."""

    at: datetime
    trouble: str = ""


class NotificationView(Notification):
    """A notification as the server has it. `trouble` is what keeps it from telling; `last` its last message."""

    trouble: str = ""
    last: Sent | None = None


class Notifications:
    """The notifications of one server."""

    def __init__(self, api: PrefectApi) -> None:
        self._api, self._documents = api, Documents(api, NOTIFICATION_TYPE)

    def add(self, wanted: Notification, address: str, *, replace: bool = False) -> None:
        """Afterwards people are told as `wanted` says. Raises: Refused when there is one of that name, unless replaced.

        Killed in between it is there in part, `read_all` says so, and adding it again with `replace` makes it whole.
        """
        there = self._documents.read(wanted.name)
        if there and not replace:
            raise Refused(f"there is a notification {wanted.name} already", "--replace, or another name")
        if there:
            self._remove(there)
        data = {"address": address, "content": wanted.model_dump_json()}
        try:
            self._documents.create(wanted.name, data)
        except NameTaken as error:
            raise Refused(f"there is a notification {wanted.name} already", "--replace, or another name") from error
        made = self._documents.read(wanted.name)
        assert made is not None
        for rule in rules(wanted):
            self._api.post("/automations/", rule.automation(wanted.name, made.id))
        self._begin_to_wait(wanted.stack)

    def read_all(self) -> list[NotificationView]:
        """All of them, by name, with how their last message went."""
        return [self._view(document) for document in sorted(self._documents.read_all(), key=lambda each: each.name)]

    def remove(self, name: str) -> None:
        """Afterwards nothing is left of it. Raises: UnknownName."""
        self._remove(self._known(name))

    def test(self, name: str) -> None:
        """Afterwards its receiver took a message, sent as all others are. Raises: StampedeError, which says why not."""
        self._known(name)
        event_id = self._emit(TEST_EVENT, test_resource(name), name)
        automations = [one["id"] for one in self._automations(name)]
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while time.monotonic() < deadline:
            for event in self._ends(automations):
                if any(one["prefect.resource.id"] == f"prefect.event.{event_id}" for one in event["related"]):
                    if trouble := _trouble(event):
                        raise StampedeError(
                            f"the message did not arrive: {trouble}", "notify add --replace mends the address"
                        )
                    return
            time.sleep(0.5)
        raise StampedeError(
            f"the server has not sent the message within {ANSWER_WITHIN_S:.0f} s",
            "its log may say why; its service of triggers may be switched off",
        )

    def _known(self, name: str) -> Document:
        if found := self._documents.read(name):
            return found
        raise UnknownName(f"there is no notification {name}", "stampede notify ls lists them")

    def _remove(self, there: Document) -> None:
        for automation in self._automations(there.name):
            self._api.delete(f"/automations/{automation['id']}")
        self._documents.delete(there)

    def _automations(self, name: str) -> list[dict[str, Any]]:
        return self._api.pages("/automations/filter", {"automations": {"tags": {"all_": [tag_of(name)]}}})

    def _view(self, document: Document) -> NotificationView:
        known = Notification.model_validate_json(document.data["content"])
        automations = self._automations(known.name)
        ends = self._ends([one["id"] for one in automations])
        trouble = ""
        if len(automations) < len(rules(known)):
            trouble = "it was not added whole; notify add --replace mends it"
        elif not all(one["enabled"] for one in automations):
            trouble = "an automation of it is switched off"
        last = Sent(at=ends[0]["occurred"], trouble=_trouble(ends[0])) if ends else None
        return NotificationView(**known.model_dump(), trouble=trouble, last=last)

    def _ends(self, automations: list[str]) -> list[dict[str, Any]]:
        """How messages of these automations went, newest first."""
        asked = {
            "event": {"name": list(_ENDS.values())},
            "resource": {"id": [f"prefect.automation.{one}" for one in automations]},
            "order": "DESC",
        }
        found: list[dict[str, Any]] = self._api.post("/events/filter", {"filter": asked, "limit": 50})["events"]
        return found if automations else []

    def _begin_to_wait(self, only: str) -> None:
        """For volumes that have backups by schedule already: the others begin with the deploy that gives them one."""
        for stack, key in self._with_backups():
            if only in ("", stack):
                self._emit(SCHEDULED, f"stampede.volume.{stack}.{key}", f"{stack}/{key}")

    def _with_backups(self) -> Iterator[tuple[str, str]]:
        found = self._api.pages("/deployments/filter", {"flows": {"name": {"any_": [BACKUP_FLOW]}}})
        for deployment in found:
            for schedule in deployment.get("schedules") or ():
                if schedule.get("active"):
                    keys = (schedule.get("parameters") or {}).get("volumes") or ()
                    yield from ((deployment["name"], key) for key in keys)

    def _emit(self, event: str, resource: str, name: str) -> str:
        event_id = str(uuid.uuid4())
        self._api.post(
            "/events",
            [
                {
                    "id": event_id,
                    "event": event,
                    "occurred": datetime.now(UTC).isoformat(),
                    "resource": {"prefect.resource.id": resource, "prefect.resource.name": name},
                }
            ],
        )
        return event_id


def _trouble(event: dict[str, Any]) -> str:
    if event["event"] != _ENDS["failed"]:
        return ""
    payload = event["payload"]
    return str(payload.get("notification_log") or payload.get("reason") or "the server does not say why").strip()
