"""Every flow that is written is one that workers run."""

from __future__ import annotations

import importlib
import pkgutil

from prefect.flows import Flow

import stampede.flows
from stampede.flows import FLOWS


def test_workers_know_every_flow() -> None:
    modules = [name for _, name, _ in pkgutil.walk_packages(stampede.flows.__path__, "stampede.flows.")]
    written = {
        each.name for name in modules for each in vars(importlib.import_module(name)).values() if isinstance(each, Flow)
    }
    assert written == set(FLOWS)
