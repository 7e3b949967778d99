"""Deploy: make what runs equal to what a stack file says."""

from __future__ import annotations

from prefect import flow

from stampede.documents import with_images
from stampede.errors import BadInput
from stampede.flows.converge import Request, converge
from stampede.planning.changes import Outcome
from stampede.planning.plan import Demands
from stampede.tasks.locks import stack_lock
from stampede.tasks.stack_state import Draft, draft_from_candidate, read_revision, read_wanted, store_candidate


@flow(name="deploy-stack", flow_run_name="deploy {stack}", persist_result=True)
async def deploy_stack(
    stack: str,
    candidate: str = "",
    images: dict[str, str] | None = None,
    revision: int | None = None,
    dry_run: bool = False,
    pull: str | None = None,
    build: bool = False,
    force_recreate: bool = False,
    skip_snapshot: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards every instance of `stack` runs what was asked for and serves, or the old ones still do.

    What is asked for is a `candidate` that a client stored, a `revision` with the images it had, or the wanted one
    with its images looked up anew; with other `images` (by service) if any are given. It becomes a new revision.
    `skip_snapshot` leaves out the snapshots that volumes with `before_deploy` have taken before.
    Raises: StackLocked, UpdateFailed (after its failure_action), NeedsAdoption, Foreign, UnknownName, BadInput.
    Safe to kill and run again at any point.
    """
    async with stack_lock(stack, who=requested_by, why=why or "deploy", wait_s=wait_for_lock_s) as lock:
        draft, candidate = await next_draft(stack, candidate, images or {}, revision)
        services = frozenset(draft.document["services"]) if force_recreate else frozenset()
        return await converge(
            Request(
                stack=stack,
                fence=lock.fence,
                draft=draft,
                candidate=candidate,
                demands=Demands(recreate=services),
                by=requested_by,
                why=why,
                pull=pull,
                build=build,
                dry_run=dry_run,
                skip_snapshot=skip_snapshot,
            )
        )


async def next_draft(
    stack: str, candidate: str, images: dict[str, str], revision: int | None = None
) -> tuple[Draft, str]:
    """The draft to deploy, and the name of the stored candidate from which hosts resolve its images ("": known)."""
    if candidate and revision is not None:
        raise BadInput("a candidate and a revision are two wishes", "give one of them")
    if candidate:
        draft = await draft_from_candidate(stack, candidate)
    else:
        base = await (read_wanted(stack) if revision is None else read_revision(stack, revision))
        draft = Draft(stack=stack, document=base.document, salt=base.salt)
        if revision is not None and not images:
            return draft.model_copy(update={"images": base.images}), ""
    if unknown := sorted(images.keys() - draft.document["services"].keys()):
        raise BadInput(f"{stack} has no service {', '.join(unknown)}", "images are named by service")
    if not images and candidate:
        return draft, candidate
    changed = draft.model_copy(update={"document": with_images(draft.document, images)})
    return changed, await store_candidate(stack, changed.document)
