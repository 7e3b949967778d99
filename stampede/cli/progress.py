"""Progress of a run on stderr: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from stampede.client import Run, Step

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

UNCLAIMED_S = 10.0
MARKS = {"COMPLETED": ("✓", "green"), "FAILED": ("✗", "red"), "CRASHED": ("✗", "red"), "CANCELLED": ("–", "yellow")}
AT_WORK = ("●", "cyan")


class Progress:
    """What a run is doing. `show` may be called as often as there is news; `close` more than once."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._live: Live | None = None
        self._told: dict[str, str] = {}
        self._told_waiting = False
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Afterwards the last view stays on the screen and the cursor is below it."""
        if self._live:
            self._live.stop()
            self._live = None

    def show(self, run: Run) -> None:
        """Show a run and its steps as they are now."""
        if self._terminal:
            self._redraw(run)
        else:
            self._print_news(run)

    def _print_news(self, run: Run) -> None:
        waiting = self._what_it_waits_for(run)
        if waiting and not self._told_waiting:
            print(waiting, file=sys.stderr, flush=True)
            self._told_waiting = True
        for step in run.steps:
            begun = step.is_flow and step.kind == "RUNNING"
            if not (step.is_final or begun) or self._told.get(step.id) == step.kind:
                continue
            self._told[step.id] = step.kind
            print(_line(step), file=sys.stderr, flush=True)

    def _redraw(self, run: Run) -> None:
        # rich takes 0.15 s to import: a run that is over sooner never needs it.
        from rich.live import Live

        if self._live is None:
            if run.is_final:
                return
            from rich.console import Console

            self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=False)
            self._live.start()
        self._live.update(self._view(run), refresh=True)

    def _view(self, run: Run) -> Text:
        from rich.text import Text

        rows = self._live.console.height - 3 if self._live else 20
        view = Text()
        for step in run.steps[-max(rows, 3) :]:
            mark, style = MARKS.get(step.kind, AT_WORK)
            view.append(f"{'  ' * step.depth}  {mark} ", style)
            view.append(step.name)
            view.append(f"  {step.run_time_s:.1f} s\n" if step.is_final else f"  {step.state.lower()}\n", "dim")
        view.append(f"{run.name}  ", "bold")
        view.append(f"{run.state.lower()}, {time.monotonic() - self._began:.0f} s", "dim")
        waiting = self._what_it_waits_for(run)
        if waiting:
            view.append(f"\n{waiting}", "yellow")
        return view

    def _what_it_waits_for(self, run: Run) -> str:
        if run.server_away:
            return "the server does not answer; the run goes on, waiting for it to come back"
        if run.kind in ("SCHEDULED", "PENDING") and time.monotonic() - self._began > UNCLAIMED_S:
            return "no worker has taken the run yet (stampede server status shows whether one runs)"
        return ""


def _line(step: Step) -> str:
    mark, _ = MARKS.get(step.kind, AT_WORK)
    after = f"{step.run_time_s:.1f} s" if step.is_final else step.state.lower()
    return f"{'  ' * step.depth}{mark} {step.name}  {after}"
