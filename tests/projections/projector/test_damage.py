"""A damaged file of read models gives way to a sound one; the ledger has it all."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from ledger.append.ledger import Ledger
from projections.errors import ProjectionError
from projections.queries.audit import AuditFilter, newest_matching
from projections.tables.columns import audit_trail
from projections.tables.registry import all_projections
from tests.projections.conftest import OpenReadModels, folded_in_memory, rows_of, taken_heals
from tests.projections.stories import births_aside, tell
from tests.sample_events import CONTEXT

PAGE = 4096
Damage = Callable[[bytes], bytes]


def everywhere(data: bytes) -> bytes:
    return data[:PAGE] + bytes((each * 7 + 13) % 256 for each in data[PAGE:])


def break_table(path: Path, table: str) -> None:
    """Make the first page of a table unreadable; nothing else."""
    with closing(sqlite3.connect(path)) as connection:
        asked = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = connection.execute(asked, (table,)).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xee" * PAGE)


DAMAGES: dict[str, Damage] = {
    "header": lambda data: b"\x07" * 100 + data[100:],
    "schema": lambda data: data[:100] + bytes(PAGE - 100) + data[PAGE:],
    "every page": everywhere,
    "cut": lambda data: data[: 2 * PAGE],
}


@pytest.fixture
def damaged(
    ledger: Ledger, open_models: OpenReadModels, models_path: Path
) -> Callable[[Damage], Path]:
    """Read models of a whole story, closed, and then what a disk does."""

    def made(how: Damage) -> Path:
        tell(ledger)
        models = open_models()
        assert models.catch_up()
        models.close()
        models_path.write_bytes(how(models_path.read_bytes()))
        return models_path

    return made


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_set_aside_and_all_is_folded_again(
    ledger: Ledger,
    damaged: Callable[[Damage], Path],
    open_models: OpenReadModels,
    how: Damage,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said, it is to be recorded, and the damaged file is kept as it was."""
    path = damaged(how)
    before = path.read_bytes()
    models = open_models()
    assert models.catch_up()
    assert rows_of(models) == folded_in_memory(ledger)
    kept = path.with_name("projections.sqlite.damaged-1")
    assert kept.read_bytes() == before
    assert str(kept) in caplog.text
    healed = taken_heals(models)
    assert [each.name for each in healed] == [each.name for each in all_projections()]
    assert all("damaged" in each.reason and str(kept) in each.reason for each in healed)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_of_two_processes_one_sets_it_aside(
    ledger: Ledger, damaged: Callable[[Damage], Path], open_models: OpenReadModels
) -> None:
    """The other finds a sound file, and records nothing twice."""
    path = damaged(lambda data: data)
    first, second = open_models(), open_models()
    path.write_bytes(everywhere(path.read_bytes()))
    ledger.append(CONTEXT, *births_aside(2))
    assert first.catch_up()
    assert second.catch_up()
    assert rows_of(first) == rows_of(second) == folded_in_memory(ledger)
    assert len(taken_heals(first)) == len(all_projections())
    assert taken_heals(second) == []
    assert len(list(path.parent.glob("*.damaged-?"))) == 1


def test_damage_that_only_a_question_meets_is_mended_for_the_next(
    ledger: Ledger, damaged: Callable[[Damage], Path], open_models: OpenReadModels
) -> None:
    """What was read so far may be wrong: the command is to be run again."""
    path = damaged(lambda data: data)
    models = open_models()
    assert models.catch_up()
    models.engine.dispose()
    break_table(path, "audit_trail")
    with (
        pytest.raises(ProjectionError, match="run the command again"),
        models.reading(at_head=False) as connection,
    ):
        connection.execute(select(audit_trail)).all()
    with models.reading() as connection:
        assert connection.execute(select(audit_trail)).all()
    assert rows_of(models) == folded_in_memory(ledger)


def test_an_applications_database_never_gives_way(
    damaged: Callable[[Damage], Path], open_models: OpenReadModels
) -> None:
    """It holds more than what the ledger can say: whoever it belongs to has to see it."""
    path = damaged(DAMAGES["header"])
    before = path.read_bytes()
    models = open_models(is_applications=True)
    assert not models.catch_up()
    assert path.read_bytes() == before
    with models.reading() as connection:
        assert newest_matching(connection, AuditFilter(), 1)
