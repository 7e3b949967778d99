"""The base of every model: immutable values that reject what they do not know."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable value. Unknown keys are errors, so that nothing is ignored in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")
