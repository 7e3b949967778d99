"""`python -m benchmarks`: run scenarios, print what was found, and write it into docs/benchmarks.md if asked to."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from docker.errors import APIError

from benchmarks import documentation, machine
from benchmarks.lab import Lab
from benchmarks.measure import say
from benchmarks.results import Result
from benchmarks.scenarios import SCENARIOS
from stampede.errors import StampedeError


def main(words: Sequence[str] | None = None) -> None:
    """Measure. Needs root, dockerd and haproxy; everything it starts is its own, and is gone at the end."""
    asked = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    results: dict[str, Result] = {}
    failed: list[str] = []
    with ExitStack() as exits:
        lab = Lab(exits, asked.percent)
        for name in asked.only or SCENARIOS:
            say(f"{name} (load {os.getloadavg()[0]:.1f})")
            try:
                results[name] = SCENARIOS[name](lab, asked.rounds)
            except (StampedeError, APIError) as error:
                failed.append(name)
                say(f"{name} could not be measured: {error}\n")
                continue
            say(results[name].markdown + "\n")
            if asked.write_docs:
                documentation.write({name: results[name]}, machine.description())
    if asked.json:
        found = {name: result.document for name, result in results.items()}
        print(json.dumps({"machine": machine.description(), "results": found}, indent=1))
    sys.exit(f"not measured: {', '.join(failed)}" if failed else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="one scenario; may be given several times")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender has its turn (default: 5)")
    parser.add_argument("--percent", type=int, default=100, help="make every scenario smaller, to try it out")
    parser.add_argument("--json", action="store_true", help="print everything that was measured, for programs")
    parser.add_argument("--write-docs", action="store_true", help="write the results into docs/benchmarks.md")
    return parser


if __name__ == "__main__":
    main()
