"""Random histories: writes, backups, prunings that come in between, and requests that fail.

After every step each backup that is kept is restored and is, byte by byte, what was backed up.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stampede.backup.catalogue import backups
from stampede.backup.prune import prune
from stampede.backup.repository import Keys
from stampede.backup.store import Lock
from stampede.backup.tables import BLOCK, CHUNK
from stampede.backup.verify import verify
from stampede.errors import Overtaken, StoreUnavailable
from stampede.retention import Retention
from tests.fakes.object_store import FakeStore
from tests.unit.backup.images import NOW, Image, repository, restored

VOLUME = "shop_db"
requests = st.integers(0, 14)
SOON = timedelta(minutes=1)


class Histories(RuleBasedStateMachine):
    """One volume, of which two images exist on two hosts, and one repository."""

    @initialize(seed=st.integers(0, 1 << 32), locked=st.booleans())
    def begin(self, seed: int, locked: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="st-"))
        self.store, self.keys = self.made_repository()
        self.store.lock = Lock(mode="compliance", days=2 * SOON / timedelta(days=1)) if locked else None
        self.dice = random.Random(seed)
        self.images = [Image(self.folder / name, 9 * CHUNK + 77) for name in ("one", "two")]
        self.kept: dict[int, bytes] = {}
        self.checked: dict[str, tuple[bytes, datetime]] = {}

    def made_repository(self) -> tuple[FakeStore, Keys]:
        return repository()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @rule(which=st.integers(0, 1), at=st.integers(0, 12 * CHUNK // BLOCK), blocks=st.sampled_from([1, 1, 2, 9, 40]))
    def write(self, which: int, at: int, blocks: int) -> None:
        image = self.images[which]
        if at * BLOCK < image.size:
            image.write(at * BLOCK, self.dice.randbytes(blocks * BLOCK))

    @rule(which=st.integers(0, 1), at=st.integers(0, 12 * CHUNK // BLOCK), blocks=st.sampled_from([1, 16, 50]))
    def punch(self, which: int, at: int, blocks: int) -> None:
        self.images[which].punch(at * BLOCK, (at + blocks) * BLOCK)

    @rule(which=st.integers(0, 1), size=st.integers(0, 12 * CHUNK))
    def resize(self, which: int, size: int) -> None:
        self.images[which].resize(size)

    @rule(which=st.integers(0, 1), rescan=st.booleans())
    def back_up(self, which: int, rescan: bool) -> None:
        self._back_up(self.store, which, rescan)

    @rule(which=st.integers(0, 1), after=requests, lost=st.booleans())
    def back_up_while_the_store_fails(self, which: int, after: int, lost: bool) -> None:
        store = self.store.view()
        store.fail_requests(after)
        if lost:
            store.before, store.after = store.after, store.before
        with contextlib.suppress(StoreUnavailable):
            self._back_up(store, which, rescan=False)
        self._note_published(which)

    @rule(which=st.integers(0, 1), after=requests, last=st.integers(1, 3), times=st.integers(1, 3))
    def back_up_while_somebody_prunes(self, which: int, after: int, last: int, times: int) -> None:
        store = self.store.view()
        store.before = self._once(after, lambda: self._prune(self.store, last, timedelta(0), times))
        with contextlib.suppress(Overtaken):
            self._back_up(store, which, rescan=False)

    @rule(after=requests, last=st.integers(1, 3))
    def prune_while_somebody_backs_up(self, after: int, last: int) -> None:
        store = self.store.view()
        store.before = self._once(after, lambda: self._back_up(self.store, 0, rescan=False))
        self._prune(store, last, timedelta(0))

    @rule(after=requests)
    def back_up_while_the_other_host_does(self, after: int) -> None:
        store = self.store.view()
        store.before = self._once(after, lambda: self._back_up(self.store, 1, rescan=False))
        self._back_up(store, 0, rescan=False)

    @rule(last=st.integers(1, 3), grace=st.sampled_from([timedelta(0), SOON, timedelta(hours=24)]))
    def prune(self, last: int, grace: timedelta) -> None:
        self._prune(self.store, last, grace)

    @rule(last=st.integers(1, 3), after=requests)
    def prune_while_the_store_fails(self, last: int, after: int) -> None:
        store = self.store.view()
        store.fail_requests(after)
        with contextlib.suppress(StoreUnavailable):
            self._prune(store, last, timedelta(0))

    @rule()
    def pass_time(self) -> None:
        self.store.pass_time(SOON)

    @invariant()
    def every_kept_backup_is_what_it_was(self) -> None:
        if not hasattr(self, "store") or self.store.objects == self.checked:
            return
        self.checked = dict(self.store.objects)
        listed = [one.backup for one in backups(self.store, self.keys, VOLUME)]
        for seq in listed:
            assert restored(self.store, self.keys, self.folder, seq) == self.kept[seq], seq
        if listed:
            assert verify(self.store, self.keys, VOLUME, NOW, "full").bad == ()

    def _back_up(self, store: FakeStore, which: int, rescan: bool) -> None:
        image = self.images[which]
        content = image.content
        self.kept[image.back_up(store, self.keys, rescan=rescan).backup] = content

    def _note_published(self, which: int) -> None:
        """The commit may be there although its writer never heard of it."""
        for one in backups(self.store, self.keys, VOLUME):
            self.kept.setdefault(one.backup, self.images[which].content)

    def _prune(self, store: FakeStore, last: int, grace: timedelta, times: int = 1) -> None:
        for _ in range(times):
            with contextlib.suppress(Overtaken):
                prune(store, self.keys, VOLUME, Retention(last=last), grace=grace)

    def _once(self, after: int, act: Callable[[], object]) -> Callable[[str, str], None]:
        """A fault that is no fault: something else happens before request number `after`."""
        left = [after]

        def meanwhile(verb: str, name: str) -> None:
            left[0] -= 1
            if left[0] == -1:
                act()

        return meanwhile


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=60, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
