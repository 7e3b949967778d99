"""Stampede from Python, over HTTP. Imports no Prefect."""

from __future__ import annotations

from stampede.client.client import Client
from stampede.client.requests import (
    AddStore,
    AdoptStack,
    CheckStore,
    DeployStack,
    EjectStack,
    PlanStack,
    RebuildServer,
    RemoveStack,
    Request,
    RestartService,
    RollbackStack,
    ScaleService,
    StackRequest,
)
from stampede.client.runs import Run
from stampede.client.steps import Step
from stampede.client.stores import Login, NewStore, Stores
from stampede.client.views import HistoryEntry, InstanceView
from stampede.planning.changes import Change, Outcome

__all__ = [
    "AddStore",
    "AdoptStack",
    "Change",
    "CheckStore",
    "Client",
    "DeployStack",
    "EjectStack",
    "HistoryEntry",
    "InstanceView",
    "Login",
    "NewStore",
    "Outcome",
    "PlanStack",
    "RebuildServer",
    "RemoveStack",
    "Request",
    "RestartService",
    "RollbackStack",
    "Run",
    "ScaleService",
    "StackRequest",
    "Step",
    "Stores",
]
