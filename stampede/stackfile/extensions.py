"""The `x-` keys that are Stampede's own. Foreign ones pass; misspelt ones of ours do not."""

from __future__ import annotations

import difflib

from stampede.errors import NotAvailableYet
from stampede.stackfile.complaint import Complaint

LATER = {
    "x-machine": "services that are virtual machines",
    "x-images": "images of virtual machines",
    "x-security-groups": "security groups",
    "x-load-balancers": "load balancers with routes and certificates",
    "x-size": "volumes of a given size",
    "x-snapshots": "snapshots of volumes",
    "x-backups": "backups of volumes",
    "x-hooks": "hooks around operations",
    "x-update": "update rules beyond update_config",
    "x-recovery": "recovery when a host is lost",
}
LIKENESS = 0.8  # of the key without `x-`: `x-backup` is meant for x-backups, `x-mine` is nobody's misspelling


def check_extension(key: str, path: tuple[str, ...]) -> None:
    """Let foreign keys pass. Raises: Complaint for keys of later releases and for misspelt ones."""
    if key in LATER:
        raise Complaint(path, f"{LATER[key]} are not available yet", f"leave {key} out", NotAvailableYet)
    ours = [name.removeprefix("x-") for name in LATER]
    if near := difflib.get_close_matches(key.removeprefix("x-").replace("_", "-"), ours, n=1, cutoff=LIKENESS):
        raise Complaint(path, "no such extension", f"did you mean x-{near[0]}? Foreign keys need another name")
