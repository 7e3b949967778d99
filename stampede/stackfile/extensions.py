"""The `x-` keys that are Stampede's own. Foreign ones pass; misspelt ones of ours do not."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from stampede.errors import NotAvailableYet
from stampede.stackfile.complaint import Complaint


class Extension(NamedTuple):
    """A key of ours: the section whose items have it, what it is for, and the test that shows it on real daemons."""

    section: str
    purpose: str
    test: str


_VOLUMES = "tests/functional/stack/test_managed_volumes.py::test_"
EXTENSIONS = {
    "x-size": Extension("volumes", "how much a managed volume holds", f"{_VOLUMES}a_volume_with_a_size_is_managed"),
    "x-snapshots": Extension(
        "volumes", "when snapshots are taken, and which are kept", f"{_VOLUMES}snapshots_are_taken_on_schedule"
    ),
    "x-backups": Extension(
        "volumes", "to which store backups go, when, and which are kept", f"{_VOLUMES}schedules_follow_the_file"
    ),
    "x-hooks": Extension(
        "services", "commands around snapshots of its volumes", f"{_VOLUMES}hooks_run_around_a_snapshot"
    ),
}
LATER = {
    "x-machine": "services that are virtual machines",
    "x-images": "images of virtual machines",
    "x-security-groups": "security groups",
    "x-load-balancers": "load balancers with routes and certificates",
    "x-update": "update rules beyond update_config",
    "x-recovery": "recovery when a host is lost",
}
LIKENESS = 0.8  # of the key without `x-`: `x-backup` is meant for x-backups, `x-mine` is nobody's misspelling


def keeps_extension(key: str, path: tuple[str, ...]) -> bool:
    """Whether an `x-` key below an item of a section reaches the models: ours do, foreign ones do not.

    Raises: Complaint for keys of later releases, misplaced and misspelt ones.
    """
    if key in LATER:
        raise Complaint(path, f"{LATER[key]} are not available yet", f"leave {key} out", NotAvailableYet)
    if own := EXTENSIONS.get(key):
        if len(path) != 3 or path[0] != own.section:
            raise Complaint(path, f"{key} does not belong here", f"it is a key of an item of {own.section}:")
        return True
    ours = [name.removeprefix("x-") for name in (*LATER, *EXTENSIONS)]
    if near := difflib.get_close_matches(key.removeprefix("x-").replace("_", "-"), ours, n=1, cutoff=LIKENESS):
        raise Complaint(path, "no such extension", f"did you mean x-{near[0]}? Foreign keys need another name")
    return not path[:-1]
