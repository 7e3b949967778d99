"""The `stampede` command. Nothing below it imports Prefect, an SDK, or (before a command runs) anything slow."""

from __future__ import annotations

from stampede.cli.app import main

__all__ = ["main"]
