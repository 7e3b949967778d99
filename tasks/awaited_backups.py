"""Which volumes a good backup is waited for, told as events: automations that tell of a missing one begin and end by
them."""

from __future__ import annotations

from stampede.documents import Revision
from stampede.planning.schedules import BACKUP_FLOW, schedules_of
from stampede.tasks.events import emit_of_volume


def tell_awaited(stack: str, before: Revision | None, after: Revision | None) -> None:
    """Afterwards it is known of which volumes backups come by schedule, and of which none are waited for any more."""
    volumes = before.definition.volumes if before else {}
    had = {key for key, volume in volumes.items() if volume.backups}
    schedules = schedules_of(after.definition) if after else ()
    wanted = {key for one in schedules if one.flow == BACKUP_FLOW for key in one.volumes}
    for event, keys in (("backup.scheduled", wanted), ("backup.unscheduled", had - wanted)):
        for key in sorted(keys):
            emit_of_volume(event, stack, key, {})
