"""The spec hash of what runs must not change with a release of Stampede: it would replace everything everywhere.

tests/golden/spec_hashes.json holds the hashes of the stacks in tests/golden/stacks. If this test fails, a change has
altered what `spec_hash` covers, or how a stack file is read. Either take that back (a new key must not count while it
is at its default), or, if a fix needs it, raise VERSION in stampede/planning/spec_hash.py, say so in CHANGELOG.md
(every instance is replaced once, by the first deploy after the upgrade), and write the file anew:
`python -m tests.unit.planning.test_spec_hashes`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from stampede.documents import Revision
from stampede.planning.expansion import expand
from stampede.planning.instances import Image
from stampede.stackfile import load_stack
from tests.unit.planning.worlds import BEGINNING

GOLDEN = Path(__file__).parents[2] / "golden"
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def test_spec_hashes_are_those_of_earlier_releases() -> None:
    assert hashes_now() == json.loads((GOLDEN / "spec_hashes.json").read_text())


def hashes_now() -> dict[str, dict[str, str]]:
    """By stack and service, with a fixed salt and fixed image identities."""
    return {file.stem: _hashes_of(file) for file in sorted((GOLDEN / "stacks").glob("*.yaml"))}


def _hashes_of(file: Path) -> dict[str, str]:
    document = load_stack([file], cwd=file.parent, project_name=file.stem, environ=ENVIRONMENT).document
    images = {name: Image(reference="any", identity=f"sha256:{name}") for name in document["services"]}
    revision = Revision(
        stack=file.stem, number=1, created=BEGINNING, salt="0123456789abcdef", document=document, images=images
    )
    instances = expand(revision, {(name, 1): "h1" for name in document["services"]})
    return {instance.service: instance.spec_hash for instance in instances}


if __name__ == "__main__":
    (GOLDEN / "spec_hashes.json").write_text(json.dumps(hashes_now(), indent=2, sort_keys=True) + "\n")
