"""Letting the copying process copy what is too small for it otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from commands.sqlite import snapshot as sqlite_snapshot
from commands.sqlite.copy import Source
from commands.sqlite.snapshot import Engine, SnapshotLimits

_choose_engine = sqlite_snapshot.choose_engine


def copy_always() -> None:
    """From here on this process has every database copied by the copying process."""

    def choose(
        live: Source, wanted: Literal["auto", "copy", "backup_api"], limits: SnapshotLimits
    ) -> tuple[Engine, str]:
        return _choose_engine(live, wanted, replace(limits, small_bytes=1))

    sqlite_snapshot.choose_engine = choose


def copy_by_size() -> None:
    """As it was before."""
    sqlite_snapshot.choose_engine = _choose_engine
