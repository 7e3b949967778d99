"""Snapshots whose content comes from elsewhere: made aside, and the volume's once they are whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from stampede.blocks.volumes.layout import Layout, claimed, move, persist, remove_tree, write
from stampede.errors import Refused
from stampede.volumes.models import Snapshot


@contextmanager
def received(
    layout: Layout,
    coming: Snapshot,
    changing: Callable[[], AbstractContextManager[None]],
    refuse_filling: Callable[[str], None],
) -> Iterator[Path]:
    """As `receive_snapshot` of the pool, whose changes happen one at a time while `changing`.

    `refuse_filling` returns if the pool has room for what comes.
    """
    making = layout.making / f"{coming.volume}@{coming.id}"
    there = layout.snapshot(coming.volume, coming.id)
    with changing():
        layout.known(coming.volume)
        if there.exists() or making.exists():
            raise Refused(f"{coming.volume} has a snapshot {coming.id} already, or gets it", "wait for that")
        refuse_filling(f"another snapshot of {coming.volume}")
        making.mkdir(mode=0o700)
        claim = claimed(making)
    assert claim is not None
    try:
        yield making / "image"
        with changing():
            layout.known(coming.volume)
            persist(making / "image")
            write(making / "snapshot.json", coming)
            there.parent.mkdir(mode=0o700, exist_ok=True)
            move(making, there)
    finally:
        remove_tree(making)
        os.close(claim)
