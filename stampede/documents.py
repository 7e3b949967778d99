"""What is stored of a stack: candidates (not yet numbered) and revisions (numbered, never changed)."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any

from stampede.frozen import Frozen
from stampede.planning.instances import Image
from stampede.stackfile import read_document
from stampede.stackfile.models import Stack

CANDIDATE_TYPE = "stampede-candidate"
REVISION_TYPE = "stampede-revision"
HOST_REPORT_TYPE = "stampede-host-report"
REGISTRY_LOGIN_TYPE = "stampede-registry-login"
STORE_TYPE = "stampede-store"
REMEMBERED_SERVED = 20
_PLAIN = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


def document_name(text: str) -> str:
    """`text` as a name of a document, which may hold lower-case letters, digits and dashes only.

    Text with anything else (a stack `my_app`, a host `h1.example`) is told apart by a digest.
    """
    if _PLAIN.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{re.sub('[^a-z0-9]+', '-', text.lower()).strip('-')}-{digest}"


def revision_name(stack: str, number: int) -> str:
    """Name of the document that holds a revision: creating a name that exists fails, which is the compare-and-set."""
    return f"{document_name(stack)}-r{number}"


def head_name(stack: str) -> str:
    """Name of the Prefect variable that holds a stack's `Head`."""
    return f"stack-{stack}"


class Head(Frozen):
    """Where a stack stands: the highest revision there is, the wanted one, and the last that was rolled out whole.

    0 is none: `wanted` of a stack that was removed, `serving` of one whose first deploy has not ended. The stack's
    deployments have the defaults of revision `registered`. Not `settled` means that the last change did not end well:
    what it left is not trusted, but proven by the next one. `served` are the last ones that were rolled out whole.
    """

    latest: int = 0
    wanted: int = 0
    serving: int = 0
    registered: int = 0
    settled: bool = True
    served: tuple[int, ...] = ()

    @property
    def before(self) -> int:
        """The revision to go back to: the last that served before the wanted one, which may never have; 0 for none."""
        return max((number for number in self.served if number < (self.wanted or self.latest + 1)), default=0)

    def now_serving(self, number: int) -> Head:
        """The stack is as this revision says; with 0 it is gone."""
        served = (*(n for n in self.served if n != number), *((number,) if number else ()))
        known = {"wanted": number, "serving": number, "registered": number, "settled": True}
        return self.model_copy(update={**known, "served": served[-REMEMBERED_SERVED:]})


class Revision(Frozen):
    """One revision of a stack: everything that is needed to run it again, on hosts that have never seen its files.

    `document` is the resolved Compose mapping with the contents of its configs and secrets, so this is secret.
    `salt` keys the spec hashes and file digests of the stack, and is the same in all its revisions.
    """

    stack: str
    number: int
    created: datetime
    by: str = ""
    why: str = ""
    run: str = ""
    salt: str
    document: dict[str, Any]
    images: dict[str, Image]

    @property
    def definition(self) -> Stack:
        """The stack that this revision describes."""
        return read_document(self.document)


def with_replicas(document: dict[str, Any], replicas: dict[str, int]) -> dict[str, Any]:
    """The same document with other numbers of replicas."""
    services = {
        name: _with_deploy(service, {"replicas": replicas[name]}) if name in replicas else service
        for name, service in document["services"].items()
    }
    return {**document, "services": services}


def with_images(document: dict[str, Any], images: dict[str, str]) -> dict[str, Any]:
    """The same document with other image references; a service that was built is pulled from now on."""
    services = {
        name: {**{k: v for k, v in service.items() if k != "build"}, "image": images[name]}
        if name in images
        else service
        for name, service in document["services"].items()
    }
    return {**document, "services": services}


def _with_deploy(service: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    deploy = {**(service.get("deploy") or {}), **values}
    return {**{k: v for k, v in service.items() if k != "scale"}, "deploy": deploy}
