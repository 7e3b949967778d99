"""The automations of a notification, as Prefect's API takes them, and the messages they send.

https://docs.prefect.io/v3/concepts/event-triggers says how triggers behave; how the one that waits for what does not
come does, over restarts of the server too, is held by tests/functional/operations/test_notify.py.
"""

from __future__ import annotations

from typing import Any

from stampede.frozen import Frozen
from stampede.notify.models import Notification, age_in_words

CHANGES = ("deploy", "scale", "rollback", "restart", "remove", "adopt", "eject")
DATA = ("backup", "verify", "drill", "prune", "restore", "recover", "snapshot", "clone", "resize", "compact")
DAMAGED = "stampede.verify.damaged"
TEST_EVENT = "stampede.notify.test"
GOOD = "stampede.backup.good"
SCHEDULED, UNSCHEDULED = "stampede.backup.scheduled", "stampede.backup.unscheduled"
QUIET_S = 3600.0  # out of memory and full pools are told once an hour at most
_ID = "prefect.resource.id"
_OF_INSTANCE = "related:instance:prefect.resource.id"

_FAILED = """{{ event.payload.message }}
{% if event.payload.hint %}What to do: {{ event.payload.hint }}
{% endif %}{% if event.payload.volume %}Volume: {{ event.payload.volume }}
{% endif %}{% if event.payload.by %}Asked for by {{ event.payload.by }}\
{% if event.payload.why %} ({{ event.payload.why }}){% endif %}.
{% endif %}{% if flow_run %}Run: {{ flow_run | ui_url }}
{% endif %}"""
_CHANGE_FAILED = f"{_FAILED}What served before goes on serving. stampede history -p {{{{ event.resource.name }}}}"
_DATA_FAILED = f"""{{% if event.payload.damaged %}}Damaged: {{{{ event.payload.damaged | join(", ") }}}}.
The next backup sends again what is bad.
{{% endif %}}{_FAILED}stampede backup ls {{{{ event.resource.name }}}}"""
_OVERDUE = """\
{% if event.event == "stampede.backup.good" %}The last good one ended at \
{{ event.occurred.strftime("%Y-%m-%d %H:%M") }} UTC.
{% endif %}What to do: stampede backup ls {{ event.resource.name }} shows which there are, stampede backup run \
{{ event.resource.name }} makes one. See whether its host's worker runs.
This is said once, until there is a good one."""
_DIED = """{{ event.payload.instance }} on {{ event.payload.host }} ended with exit code \
{{ event.payload.exit_code }}, not for the first time.
What to do: stampede logs -p {{ event.resource.name }} {{ event.payload.service }}"""
_OUT_OF_MEMORY = """{{ event.payload.instance }} on {{ event.payload.host }} reached its memory limit, and the kernel \
killed one of its processes.
What to do: raise mem_limit of {{ event.payload.service }}, or look at what it keeps in memory."""
_POOL = """On {{ event.resource.name }} {{ event.payload.reason }}.
{% if event.payload.dropped %}Snapshots removed: {{ event.payload.dropped | join(", ") }}.
{% endif %}{% if event.payload.paused %}Paused, because they write to it: {{ event.payload.paused | join(", ") }}.
{% endif %}What to do: remove volumes or snapshots: stampede volume ls, stampede snapshot ls"""


class Rule(Frozen):
    """One automation: which events, on which resources, and the message, at most one in `within_s` for each."""

    about: str
    expect: tuple[str, ...]
    resource: str
    title: str
    body: str
    after: tuple[str, ...] = ()
    proactive: bool = False
    threshold: int = 1
    within_s: float = 0.0
    for_each: tuple[str, ...] = ()

    def automation(self, notification: str, block_id: str) -> dict[str, Any]:
        """The body of a request that creates it."""
        return {
            "name": f"stampede notify {notification}: {self.about}",
            "description": f"Made by `stampede notify add {notification}`, and removed by `stampede notify rm`.",
            "enabled": True,
            "tags": [tag_of(notification)],
            "trigger": {
                "type": "event",
                "posture": "Proactive" if self.proactive else "Reactive",
                "match": {_ID: self.resource},
                "after": list(self.after),
                "expect": list(self.expect),
                "for_each": list(self.for_each),
                "threshold": self.threshold,
                "within": self.within_s,
            },
            "actions": [
                {
                    "type": "send-notification",
                    "block_document_id": block_id,
                    "subject": self.title,
                    "body": self.body,
                }
            ],
        }


def tag_of(notification: str) -> str:
    """What marks the automations of a notification."""
    return f"stampede-notify:{notification}"


def test_resource(notification: str) -> str:
    """The resource of the event that asks for a test message."""
    return f"stampede.notify.{notification}"


def rules(wanted: Notification) -> tuple[Rule, ...]:
    """Its automations, that of its tests among them."""
    stacks = f"stampede.stack.{wanted.stack or '*'}"
    found: list[Rule] = []
    if "changes" in wanted.subjects:
        found.append(_change_failed(stacks))
    if "backups" in wanted.subjects:
        volumes = f"stampede.volume.{wanted.stack}.*" if wanted.stack else "stampede.volume.*"
        found += [_backup_failed(stacks), _backup_missing(volumes, wanted.backup_age_s)]
    if "instances" in wanted.subjects:
        found += [_keeps_dying(stacks, wanted), _out_of_memory(stacks)]
    if "pools" in wanted.subjects and not wanted.stack:
        found.append(_pool_full())
    return (*found, _test(wanted.name))


def _change_failed(stacks: str) -> Rule:
    return Rule(
        about="a change failed",
        expect=tuple(f"stampede.{verb}.failed" for verb in CHANGES),
        resource=stacks,
        title='{{ event.resource.name }}: {{ event.event.split(".")[1] }} failed',
        body=_CHANGE_FAILED,
    )


def _backup_failed(stacks: str) -> Rule:
    return Rule(
        about="a backup failed",
        expect=(*(f"stampede.{verb}.failed" for verb in DATA), DAMAGED),
        resource=stacks,
        title=f'{{{{ event.resource.name }}}}: {{% if event.event == "{DAMAGED}" %}}backups are damaged'
        '{% else %}{{ event.event.split(".")[1] }} failed{% endif %}',
        body=_DATA_FAILED,
    )


def _backup_missing(volumes: str, age_s: float) -> Rule:
    # A good backup both ends one wait and begins the next, so that the wait is never longer than it was asked for;
    # waits that follow each other by the clock could be three times as long. The first wait begins with the schedule.
    return Rule(
        about="a backup is missing",
        after=(GOOD, SCHEDULED),
        expect=(GOOD, UNSCHEDULED),
        proactive=True,
        within_s=age_s,
        for_each=(_ID,),
        resource=volumes,
        title=f"{{{{ event.resource.name }}}}: no good backup for {age_in_words(age_s)}",
        body=_OVERDUE,
    )


def _keeps_dying(stacks: str, wanted: Notification) -> Rule:
    return Rule(
        about="an instance keeps dying",
        expect=("stampede.instance.died",),
        threshold=wanted.deaths,
        within_s=wanted.deaths_within_s,
        for_each=(_OF_INSTANCE,),
        resource=stacks,
        title="{{ event.resource.name }}: {{ event.payload.instance }} keeps dying",
        body=_DIED,
    )


def _out_of_memory(stacks: str) -> Rule:
    return Rule(
        about="out of memory",
        expect=("stampede.instance.out-of-memory",),
        within_s=QUIET_S,
        for_each=(_OF_INSTANCE,),
        resource=stacks,
        title="{{ event.resource.name }}: {{ event.payload.instance }} is out of memory",
        body=_OUT_OF_MEMORY,
    )


def _pool_full() -> Rule:
    return Rule(
        about="a pool is full",
        expect=("stampede.pool.full",),
        within_s=QUIET_S,
        for_each=(_ID,),
        resource="stampede.host.*",
        title="{{ event.resource.name }}: the pool of volumes is full",
        body=_POOL,
    )


def _test(name: str) -> Rule:
    return Rule(
        about="test",
        expect=(TEST_EVENT,),
        resource=test_resource(name),
        title="Stampede: a test",
        body=f"This is a test of the notification {name}. Messages about what goes wrong come the same way.",
    )
