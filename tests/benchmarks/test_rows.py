"""Every row can still be measured: on next to nothing, for its form and not for its figure."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.benchmarks import backup_rows, offsite_month, offsite_rows, postgresql_rows
from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.measuring import Sizes

NEXT_TO_NOTHING = Sizes(
    events=100,
    memory_events=1_000,
    settings=100,
    batches=1,
    users=2,
    database_mb=1,
    rounds=1,
)

ALIKE = {
    "help",
    "rebuild_memory",
    *backup_rows.BY_KIND,
    *postgresql_rows.BY_WRITERS,
    *postgresql_rows.BY_SCHEDULERS,
    *(
        each
        for each in offsite_rows.BY_NAME
        if each not in ("offsite_first_size", "offsite_collect")
    ),
}
FIRST_OF_THOSE = ["postgresql_append_1"]
"""Of what differs in a number only, or takes long."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BENCHMARKS.keys() - ALIKE) + FIRST_OF_THOSE)
def test_a_row_can_be_measured(name: str, tmp_path: Path) -> None:
    row = BENCHMARKS[name](tmp_path, NEXT_TO_NOTHING)
    assert row.name == name
    assert row.against
    assert math.isfinite(row.ratio)
    assert row.value > 0
    assert row.met is (row.ratio >= row.target)


def test_without_restic_a_row_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    row = BENCHMARKS["offsite_sent"](tmp_path, NEXT_TO_NOTHING)
    assert "not installed" in row.against
    assert not row.met


def test_the_picture_of_a_month_ends_with_each_sides_size() -> None:
    days = [(day * 1_048_576, day * 5_242_880, day * 31_457_280) for day in range(1, 31)]
    drawn = offsite_month.picture(days)
    assert "Backup Ledger, 30 MB" in drawn
    assert "restic, 150 MB" in drawn
    assert "whole files, zstd, 900 MB" in drawn
    assert drawn.count("<path") == 3
