"""Plans and outcomes as Prefect artifacts: tables that people read. They name things and never hold values."""

from __future__ import annotations

from prefect.artifacts import acreate_markdown_artifact

from stampede.backup.views import BackupsVerified, DrillReport, StackBackedUp
from stampede.errors import StampedeError
from stampede.planning.changes import Change, Outcome, Plan
from stampede.volumes.room import human
from stampede.volumes.views import SnapshotsTaken

MOST_OF_A_MESSAGE = 2000


async def publish_plan(plan: Plan, revision: int | None) -> None:
    """Afterwards the run shows what it is going to do, and why."""
    await acreate_markdown_artifact(
        key=f"plan-{_key(plan.stack)}",
        markdown=_table(f"Plan for {plan.stack}", revision, plan.changes, len(plan.unchanged), plan.warnings),
        description=f"What has to change for {plan.stack}, with reasons.",
    )


async def publish_outcome(outcome: Outcome) -> None:
    """Afterwards the run shows what it did."""
    if not outcome.changes:
        return
    await acreate_markdown_artifact(
        key=f"outcome-{_key(outcome.stack)}",
        markdown=_table(
            f"{outcome.stack} is as wanted",
            outcome.revision,
            outcome.changes,
            len(outcome.unchanged),
            outcome.warnings,
        ),
        description=f"What was done to {outcome.stack}.",
    )


async def publish_snapshots(taken: SnapshotsTaken) -> None:
    """Afterwards the run shows which snapshots it took, and which went."""
    lines = [f"### Snapshots of {taken.stack}", "", "| volume | snapshot | on | writers waited |", "|---|---|---|---|"]
    lines += [f"| {s.name} | {s.id} | {s.host} | {s.stall_s * 1000:.1f} ms |" for s in taken.snapshots]
    lines += [""] if taken.removed else []
    lines += [f"- removed {gone.volume}@{gone.snapshot}: {gone.reason}" for gone in taken.removed]
    await acreate_markdown_artifact(
        key=f"snapshots-{_key(taken.stack)}",
        markdown="\n".join(lines),
        description=f"Snapshots of the volumes of {taken.stack}.",
    )


async def publish_backups(done: StackBackedUp) -> None:
    """Afterwards the run shows which backups it made, and what they cost."""
    lines = [f"### Backups of {done.stack}", "", "| volume | backup | in | holds | changed | sent | took |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [
        f"| {one.volume} | {one.backup} | {one.store} | {human(one.logical_bytes)} | {human(one.changed_bytes)}"
        f" | {human(one.uploaded_bytes)} | {one.duration_s:.1f} s |"
        for one in done.volumes
    ]
    lines += ["", *(f"- **warning** {warning}" for warning in done.warnings)]
    await acreate_markdown_artifact(
        key=f"backups-{_key(done.stack)}",
        markdown="\n".join(lines),
        description=f"Backups of the volumes of {done.stack}.",
    )


async def publish_verification(found: BackupsVerified) -> None:
    """Afterwards the run shows what was looked at, and every bad object with the backups that it damages."""
    lines = [f"### Backups of {found.stack}: {found.checked_backups} looked at, {human(found.checked_bytes)} read", ""]
    if found.bad:
        lines += ["| object | bytes | what | damages |", "|---|---|---|---|"]
        lines += [
            f"| {one.object} | {one.start}–{one.end} | {one.what} |"
            f" {', '.join(f'{one.volume}@{backup}' for backup in one.backups)} |"
            for one in found.bad
        ]
    else:
        lines += ["All is as it was written."]
    await acreate_markdown_artifact(
        key=f"verification-{_key(found.stack)}",
        markdown="\n".join(lines),
        description=f"Whether the backups of {found.stack} are as they were written.",
    )


async def publish_drill(report: DrillReport) -> None:
    """Afterwards the run shows what the drill proved."""
    left_out = [f"| did not see | {'; '.join(report.left_out)} |"] if report.left_out else []
    lines = [
        f"### The backups of {report.stack} can be used",
        "",
        "| | |",
        "|---|---|",
        f"| restored | {', '.join(f'{v}@{b}' for v, b in zip(report.volumes, report.backups, strict=True))} |",
        f"| ran healthy on it | {', '.join(report.services)}, on {report.host} |",
        *left_out,
        f"| passed its check | {', '.join(report.checks) or 'no service has one'} |",
        f"| opened by the recovery key | {', '.join(report.opened)} |",
        "| file systems | checked, sound |",
        f"| recovery time | {report.recovery_s:.1f} s |",
        f"| age of the data | {report.data_age_s / 3600:.1f} h |",
        f"| verified | {human(report.verified_bytes)} |",
        *("", *(f"- **warning** {warning}" for warning in report.warnings)),
    ]
    await acreate_markdown_artifact(
        key=f"drill-{_key(report.stack)}",
        markdown="\n".join(lines),
        description=f"What a drill of the backups of {report.stack} showed.",
    )


async def publish_failure(stack: str, verb: str, error: Exception) -> None:
    """Afterwards the run shows why the stack did not become what was wanted, and what to do."""
    message, hint = (error.message, error.hint) if isinstance(error, StampedeError) else (repr(error), "")
    lines = [f"### {verb} of {stack} did not succeed", "", message[:MOST_OF_A_MESSAGE]]
    await acreate_markdown_artifact(
        key=f"outcome-{_key(stack)}",
        markdown="\n".join([*lines, "", hint] if hint else lines),
        description=f"Why {stack} is not as wanted.",
    )


def _table(
    title: str, revision: int | None, changes: tuple[Change, ...], unchanged: int, warnings: tuple[str, ...]
) -> str:
    lines = [f"### {title}" + (f", revision {revision}" if revision else ""), ""]
    if changes:
        lines += ["| what happens | to | on | because |", "|---|---|---|---|"]
        lines += [f"| {c.action} | {c.kind} {c.name} | {c.host} | {c.reason} |" for c in changes]
    else:
        lines.append("Nothing has to change.")
    lines += ["", f"Unchanged: {unchanged}."] if unchanged else []
    lines += [f"- **warning** {warning}" for warning in warnings]
    return "\n".join(lines)


def _key(stack: str) -> str:
    """Artifact keys take lowercase letters, digits and dashes."""
    return stack.replace("_", "-")
