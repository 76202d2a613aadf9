"""Read models that are rebuilt by processes that get killed, while another process appends.

    python -m tests.crash.rebuilding build|append LEDGER MODELS

`build` rebuilds all read models in small batches. `append` appends until it is killed.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import sleep

from ledger.append.database import create_ledger, database_url, open_engine
from ledger.append.ledger import Ledger
from ledger.clock import SystemClock
from projections.projector import projector, rebuild
from projections.projector.comparison import differences
from projections.projector.read_models import ReadModels
from projections.tables.registry import all_projections
from tests.projections.conftest import taken_heals
from tests.sample_events import CONTEXT, NOW, draft, uuid_of

BATCH = 40
EVENTS = 1_200
LONGEST_SECONDS = 0.6
"""About what a whole rebuild takes; later kills would find nobody at work."""


def opened(ledger: Path, models: Path) -> tuple[Ledger, ReadModels]:
    found = Ledger(open_engine(database_url(f"sqlite:///{ledger}")), SystemClock())
    url = database_url(f"sqlite:///{models}")
    return found, ReadModels.at(url, found, is_applications=False)


def append(ledger: Ledger, numbers: range) -> None:
    """Users and their backups, five events each time."""
    from ledger.events.catalog import BackupCreated, BackupVerified  # noqa: PLC0415
    from ledger.events.scheduling import (  # noqa: PLC0415
        BackupStarted,
        SettingsCreated,
        SettingsUpdated,
    )

    for number in numbers:
        schedule, backup = f"schedule/{number}", f"backup/{uuid_of(number)}"
        ledger.append(
            CONTEXT,
            draft(SettingsCreated, schedule, owner=number),
            draft(SettingsUpdated, schedule, owner=number),
            draft(BackupStarted, schedule, owner=number),
            draft(BackupCreated, backup, owner=number, filename=f"b{number}.db"),
            draft(BackupVerified, backup, owner=number),
        )


def make(folder: Path) -> tuple[Path, Path]:
    """A ledger, and read models at its head with a row that somebody edited."""
    paths = folder / "ledger.sqlite", folder / "models.sqlite"
    engine = open_engine(database_url(f"sqlite:///{paths[0]}"))
    create_ledger(engine, uuid_of(1), NOW)
    engine.dispose()
    ledger, models = opened(*paths)
    append(ledger, range(1, EVENTS // 5 + 1))
    models.catch_up()
    models.close()
    ledger.close()
    with sqlite3.connect(paths[1]) as connection:
        connection.execute("UPDATE backup_settings SET keep_count = 29 WHERE user_id = 7")
    connection.close()
    return paths


@contextmanager
def running(task: str, paths: tuple[Path, Path]) -> Iterator[subprocess.Popen[bytes]]:
    """A process at its task; killed when the block ends."""
    command = [sys.executable, "-m", "tests.crash.rebuilding", task, *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def rebuilt_through_kills(folder: Path, kills: int, seed: int) -> int:
    """Kill a rebuild at random moments, let it finish, and compare; how often it was at work."""
    paths, random, interrupted = make(folder), Random(seed), 0
    with running("append", paths):
        for _kill in range(kills):
            with running("build", paths) as process:
                sleep(random.uniform(0, LONGEST_SECONDS))
                interrupted += process.poll() is None
        with running("build", paths) as process:
            assert process.wait() == 0
    ledger, models = opened(*paths)
    assert models.catch_up()
    assert taken_heals(models) == []
    assert differences(models, ledger) == []
    undisturbed = folder / "undisturbed.sqlite"
    _, fresh = opened(paths[0], undisturbed)
    assert fresh.catch_up()
    assert tables_of(paths[1]) == tables_of(undisturbed)
    for each in (models, fresh):
        each.close()
    ledger.close()
    return interrupted


def tables_of(path: Path) -> list[list[tuple[object, ...]]]:
    """Every row of every table, as the file has it."""
    with sqlite3.connect(path) as connection:
        found = [
            connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()
            for name in [each.name for each in all_projections()]
        ]
    connection.close()
    return found


def main() -> None:
    """One of the two tasks."""
    task, *paths = sys.argv[1:]
    projector.BATCH_EVENTS = rebuild.BATCH_EVENTS = BATCH
    ledger, models = opened(*map(Path, paths))  # type: ignore[arg-type]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if task == "build":
        models.rebuild(None)
        return
    number = 10_000
    while True:
        append(ledger, range(number, number + 1))
        models.catch_up()
        number += 1
        sleep(0.02)


if __name__ == "__main__":
    main()
