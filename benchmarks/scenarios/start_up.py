"""How soon the command says something."""

from __future__ import annotations

import statistics
import sys
from functools import partial

from benchmarks.lab import Lab
from benchmarks.measure import Contender, take_turns
from benchmarks.peers.compose import PROGRAM
from benchmarks.processes import run as run_program
from benchmarks.results import Result, Target, of_turns

LIMIT_S = 0.3
INCLUDES = "Whole processes, files in the page cache. *python* is the interpreter that does nothing (`-c pass`)."


def run(lab: Lab, rounds: int) -> Result:
    del lab
    commands = {
        "stampede --help": [sys.executable, "-m", "stampede", "--help"],
        "stampede version": [sys.executable, "-m", "stampede", "version"],
        "docker-compose version": [str(PROGRAM), "version"],
        "docker --help": ["docker", "--help"],
        "python": [sys.executable, "-c", "pass"],
    }
    contenders = [Contender(name, act=partial(run_program, words)) for name, words in commands.items()]
    taken = take_turns(contenders, max(rounds * 3, 9))
    result = of_turns("Start of the command", INCLUDES, taken, "stampede --help", {})
    target = Target("stampede --help", statistics.median(taken["stampede --help"]), LIMIT_S, "s")
    return Result(result.title, result.includes, result.heads, result.rows, (target,), result.samples)
