"""A small share of `python -m tests.soak`."""

from __future__ import annotations

from pathlib import Path

from tests.commands.sqlite_writers import build, is_consistent
from tests.soak.snapshots import copy_plainly, soak, soak_swapped

SNAPSHOTS = 6
SECONDS = 3
TRIES = 20


def test_no_snapshot_is_anything_but_one_state_of_the_source(tmp_path: Path) -> None:
    """Under three writers that checkpoint in every way; both engines; and they do move on."""
    soaked = soak(tmp_path, SECONDS, at_least=SNAPSHOTS)
    assert soaked.inconsistent == []
    assert set(soaked.taken) == {"copy", "backup_api"}
    assert len(soaked.digests) > 1


def test_database_that_is_swapped_for_another_is_copied_as_the_one_or_the_other(
    tmp_path: Path,
) -> None:
    """Somebody renames another database into the place, again and again; no copy mixes them."""
    found = soak_swapped(tmp_path, at_least=2 * SNAPSHOTS)
    assert found.total() == 2 * SNAPSHOTS


def test_plain_copy_of_the_files_fails_the_same_check(tmp_path: Path) -> None:
    """The control: the check can fail, and a plain copy soon makes it."""
    source = build(tmp_path / "source.db")
    for number in range(TRIES):
        copy = tmp_path / f"{number}.db"
        copy_plainly(source, copy)
        if not is_consistent(copy):
            return
    raise AssertionError(f"{TRIES} plain copies were consistent: the check is worth nothing")
