"""Operations. `FLOWS` are those a worker runs; those in `VERBS` are the ones that people and programs start."""

from __future__ import annotations

from typing import Any

from prefect.flows import Flow

from stampede.flows.add_store import add_store
from stampede.flows.adopt_stack import adopt_stack
from stampede.flows.backups.backup_stack import back_up_on_host, backup_stack, backup_volume
from stampede.flows.backups.drill import drill_on_host, drill_restore
from stampede.flows.backups.files import copy_files_on_host, list_files, list_folder_on_host, restore_files
from stampede.flows.backups.instant import begin_bringing_on_host, bring_rest_on_host, restore_instantly
from stampede.flows.backups.looking import list_backups, prune_backups, verify_backups
from stampede.flows.backups.restore import (
    fetch_snapshot_on_host,
    fetch_volume_on_host,
    recover_stack,
    restore_backup,
)
from stampede.flows.check_store import check_store
from stampede.flows.deploy_stack import deploy_stack
from stampede.flows.eject_stack import eject_stack
from stampede.flows.move_out import forget_ejection, move_back, move_out, survey_ejection
from stampede.flows.plan_stack import plan_stack
from stampede.flows.reach_store import reach_store
from stampede.flows.rebuild_server import rebuild_server
from stampede.flows.recall_host import recall_host
from stampede.flows.remove_stack import remove_stack
from stampede.flows.restart_service import restart_service
from stampede.flows.roll_out import roll_out
from stampede.flows.rollback_stack import rollback_stack
from stampede.flows.scale_service import scale_service
from stampede.flows.survey_host import survey_host
from stampede.flows.take_over import survey_project, take_over
from stampede.flows.volumes.adopt_volume import (
    adopt_volume,
    fill_on_host,
    replace_on_host,
    survey_plain_volume,
)
from stampede.flows.volumes.hosts import survey_volumes
from stampede.flows.volumes.looking import list_snapshots, list_volumes
from stampede.flows.volumes.remaking import compact_on_host, compact_volume, resize_on_host, resize_volume
from stampede.flows.volumes.restore_stack import put_back_on_host, restore_stack, restore_volume, undo_on_host
from stampede.flows.volumes.shaping import (
    clone_on_host,
    clone_volume,
    create_volume,
    make_on_host,
    remove_on_host,
    remove_snapshot,
    remove_volume,
)
from stampede.flows.volumes.snapshot_stack import snapshot_stack, snapshot_volume
from stampede.flows.volumes.snapshots import snapshot_on_host, thin_out_on_host
from stampede.flows.volumes.standstill import stop_users

VERBS: tuple[Flow[..., Any], ...] = (
    deploy_stack,
    plan_stack,
    scale_service,
    rollback_stack,
    restart_service,
    remove_stack,
    adopt_stack,
    eject_stack,
    adopt_volume,
    rebuild_server,
    add_store,
    check_store,
    backup_stack,
    drill_restore,
    backup_volume,
    list_backups,
    verify_backups,
    prune_backups,
    restore_backup,
    recover_stack,
    list_files,
    restore_files,
    restore_instantly,
    list_volumes,
    create_volume,
    clone_volume,
    resize_volume,
    compact_volume,
    remove_volume,
    list_snapshots,
    snapshot_stack,
    snapshot_volume,
    restore_stack,
    restore_volume,
    remove_snapshot,
)
HOST_STEPS: tuple[Flow[..., Any], ...] = (
    survey_host,
    roll_out,
    recall_host,
    survey_project,
    take_over,
    survey_volumes,
    make_on_host,
    clone_on_host,
    resize_on_host,
    compact_on_host,
    remove_on_host,
    snapshot_on_host,
    thin_out_on_host,
    stop_users,
    put_back_on_host,
    undo_on_host,
    reach_store,
    back_up_on_host,
    drill_on_host,
    fetch_volume_on_host,
    fetch_snapshot_on_host,
    list_folder_on_host,
    copy_files_on_host,
    begin_bringing_on_host,
    bring_rest_on_host,
    survey_ejection,
    move_out,
    move_back,
    forget_ejection,
    survey_plain_volume,
    fill_on_host,
    replace_on_host,
)
FLOWS: dict[str, Flow[..., Any]] = {flow.name: flow for flow in (*VERBS, *HOST_STEPS)}

__all__ = ["FLOWS", "HOST_STEPS", "VERBS"]
