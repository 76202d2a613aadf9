"""What all shapes have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """Something as programs get it. Times are aware UTC, sizes are bytes."""

    model_config = ConfigDict(frozen=True, from_attributes=True)
