"""Every row can still be measured: on next to nothing, for its form and not for its figure."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.benchmarks import backup_rows, postgresql_rows
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

ALIKE = {*backup_rows.BY_KIND, *postgresql_rows.BY_WRITERS, *postgresql_rows.BY_SCHEDULERS}
FIRST_OF_THOSE = ["postgresql_append_1", "postgresql_night_1"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BENCHMARKS.keys() - ALIKE) + FIRST_OF_THOSE)
def test_a_row_can_be_measured(name: str, tmp_path: Path) -> None:
    row = BENCHMARKS[name](tmp_path, NEXT_TO_NOTHING)
    assert row.name == name
    assert row.against
    assert math.isfinite(row.ratio)
    assert row.value > 0
    assert row.met is (row.ratio >= row.target)
