"""Every row can still be measured: on next to nothing, for its form and not for its figure."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from commands.site.configuration import Configuration
from commands.site.opening import open_site
from tests.benchmarks import backup_rows, growth, offsite_month, offsite_rows, postgresql_rows
from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.growth_picture import picture
from tests.benchmarks.measuring import Sizes
from tests.load.place import Size, build

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
    "run_once_start",
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


@pytest.mark.slow
def test_what_is_measured_for_growth_can_be_done(tmp_path: Path) -> None:
    build(tmp_path, Size(events=100, users=3, kept=growth.KEPT))
    site = open_site(Configuration(database=tmp_path / "app.db"), "act")
    works = growth.works_of(site)
    head = site.ledger.log_recorder.head().size
    for work in works.values():
        work()
    assert {*works, "offsite"} == {*growth.CURVES}
    assert site.ledger.log_recorder.head().size > head
    site.close()


def test_growth_is_told_as_a_power_of_the_size() -> None:
    alike, square = {"1000": 2.0, "10000": 2.0}, {"1000": 0.5, "10000": 50.0, "100000": 5_000.0}
    assert growth.powers_of(alike) == [0]
    assert growth.powers_of(square) == pytest.approx([2, 2])
    drawn = picture({"list": alike, "verify": square})
    assert drawn.count("<circle") == 5
    assert drawn.count('class="ours"') == drawn.count('class="work"') == 2
    assert growth.CURVES["verify"].label in drawn
