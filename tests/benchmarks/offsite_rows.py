"""Off-site copies beside restic: bytes sent, processors, size of the store, memory.

restic is the one on the PATH (Debian has it); where there is none, a row says so and is not met.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from random import Random
from threading import Event, Thread
from time import perf_counter
from typing import Self

from commands.audit.keys import make_key
from commands.backups.take import take_backup
from commands.offsite.add import NewDestination, add_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.deleting.collect import collect
from commands.offsite.destinations import find_destination
from commands.offsite.repository.seal import Sealer, compress, new_identity, recipient_of
from commands.offsite.worker.jobs import CopyResult
from commands.offsite.worker.run import run_copy, run_fetch
from commands.site.actors import operator
from commands.site.site import Site
from ledger.clock import ManualClock
from ledger.events.base import ChangedFields
from tests.benchmarks.measuring import Row, Sizes
from tests.commands.offsite.repositories import Repository
from tests.commands.world import MIDNIGHT, World

MEGABYTE = 1024 * 1024
ROW_BYTES = 450
MONTH_DAYS = 30
KEPT_DAYS = 7
MOST_MEMORY_MB = 150
MANY_PACKS = 10_000
PLACE = "elsewhere"
WORDS = tuple(f"{Random(number).getrandbits(40):x}"[: 2 + number % 8] for number in range(4_000))
OFTEN = tuple(accumulate(1 / (rank + 1) for rank in range(len(WORDS))))
"""As in a language: the n-th word comes an n-th as often as the first."""


def text(random: Random) -> str:
    return " ".join(random.choices(WORDS, cum_weights=OFTEN, k=90))


def make_database(path: Path, megabytes: int) -> None:
    """Rows of words with an index, as a business application's."""
    random = Random(1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, who INT, text TEXT)")
        for _ in range(megabytes):
            rows = [(random.getrandbits(20), text(random)) for _ in range(MEGABYTE // ROW_BYTES)]
            connection.executemany("INSERT INTO notes (who, text) VALUES (?, ?)", rows)
            connection.commit()
        connection.execute("CREATE INDEX by_who ON notes (who)")
        connection.commit()


def change(path: Path, percent: float, day: int) -> None:
    """So many percent of the rows, anywhere in the table, get another text."""
    random = Random(day)
    with closing(sqlite3.connect(path)) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM notes").fetchone()
        wanted = max(1, round(rows * percent / 100))
        connection.executemany(
            "UPDATE notes SET text = ? WHERE id = ?",
            [(text(random), each) for each in random.sample(range(1, rows + 1), wanted)],
        )
        connection.commit()


@dataclass
class Ours:
    """A repository in a folder, and what the last copy took."""

    folder: Path
    repository: Repository = field(init=False)
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.repository = Repository(self.folder, (new_identity(), new_identity()))

    def copy(self, path: Path) -> CopyResult:
        job = self.repository.job(path)
        with _Watched() as watched:
            result = run_copy(job)
        self.repository.jobs[job.copy_id], self.repository.results[job.copy_id] = job, result
        self.cpu_seconds, self.peak_mb = watched.cpu_seconds, watched.peak_mb
        return result

    def restore(self, path: Path) -> float:
        job = self.repository.fetch_job(self.repository.newest, path)
        with _Watched() as watched:
            run_fetch(job)
        return watched.cpu_seconds

    def stored(self) -> int:
        return size_of(self.folder / "repository")


@dataclass
class Restic:
    """restic on a repository in a folder, with its defaults."""

    folder: Path

    def __call__(self, *arguments: str) -> float:
        """Run it; the processors' seconds that it took."""
        environment = os.environ | {
            "RESTIC_PASSWORD": "benchmark",
            "RESTIC_REPOSITORY": str(self.folder),
            "RESTIC_CACHE_DIR": f"{self.folder}-cache",
        }
        command = ["restic", "--quiet", "--compression", "auto", *arguments]
        with _Watched() as watched:
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        return watched.cpu_seconds

    def stored(self) -> int:
        return size_of(self.folder)


class _Watched:
    """What child processes took meanwhile: processors' seconds, and the most memory."""

    def __enter__(self) -> Self:
        self.peak_mb, self._ended = 0.0, Event()
        self._before = sum(os.times()[2:4])
        self._thread = Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.cpu_seconds = sum(os.times()[2:4]) - self._before

    def _watch(self) -> None:
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
        while not self._ended.wait(0.02):
            with suppress(OSError, ValueError, IndexError):
                for child in children.read_text().split():
                    for line in Path(f"/proc/{child}/status").read_text().splitlines():
                        if line.startswith("VmHWM"):
                            self.peak_mb = max(self.peak_mb, int(line.split()[1]) / 1024)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def row(name: str, value: float, unit: str, against: str, ratio: float, target: float) -> Row:
    return Row(name, value, unit, against, ratio, target, ratio >= target)


def _beside_restic(
    name: str, target: float, measure: Callable[[Path, Sizes], tuple[float, str, float]]
) -> Callable[[Path, Sizes], Row]:
    """A row of what `measure` gives: (value, unit, ratio)."""

    def measured(folder: Path, sizes: Sizes) -> Row:
        if shutil.which("restic") is None:
            return row(name, 0.0, "", "restic, which is not installed here", 0.0, target)
        value, unit, ratio = measure(folder, sizes)
        return row(name, value, unit, "restic", ratio, target)

    return measured


def _next_day(folder: Path, sizes: Sizes) -> dict[str, float]:
    """A first copy, one percent of the rows changed, a second copy, a restore; both sides."""
    path, ours, restic = folder / "app.db", Ours(folder / "ours"), Restic(folder / "restic")
    make_database(path, sizes.database_mb)
    restic("init")
    found: dict[str, float] = {}
    first = ours.copy(path)
    found["first"], found["first_cpu"] = first.sent_bytes, ours.cpu_seconds
    found["restic_first_cpu"] = restic("backup", str(path))
    change(path, 1, 1)
    before = restic.stored()
    found["sent"], found["cpu"] = ours.copy(path).sent_bytes, ours.cpu_seconds
    found["restic_cpu"] = restic("backup", str(path))
    found["restic_sent"] = restic.stored() - before
    found["restore_cpu"] = ours.restore(folder / "restored.db")
    found["restic_restore_cpu"] = restic("restore", "latest", "--target", str(folder / "back"))
    return found


def sent(folder: Path, sizes: Sizes) -> tuple[float, str, float]:
    found = _next_day(folder, sizes)
    return found["sent"] / MEGABYTE, "MB", found["restic_sent"] / found["sent"]


def sent_cpu(folder: Path, sizes: Sizes) -> tuple[float, str, float]:
    found = _next_day(folder, sizes)
    return found["cpu"], "CPU s", found["restic_cpu"] / found["cpu"]


def first_cpu(folder: Path, sizes: Sizes) -> tuple[float, str, float]:
    found = _next_day(folder, sizes)
    return found["first_cpu"], "CPU s", found["restic_first_cpu"] / found["first_cpu"]


def restore_cpu(folder: Path, sizes: Sizes) -> tuple[float, str, float]:
    found = _next_day(folder, sizes)
    return found["restore_cpu"], "CPU s", found["restic_restore_cpu"] / found["restore_cpu"]


def first_size(folder: Path, sizes: Sizes) -> Row:
    """Beside one whole file through zstd -3 and age."""
    path, ours = folder / "app.db", Ours(folder / "ours")
    make_database(path, sizes.database_mb)
    stored = ours.copy(path).sent_bytes
    whole = len(Sealer(ours.repository.recipients).seal(compress(path.read_bytes())))
    against = "one file through zstd -3 and age"
    return row("offsite_first_size", stored / MEGABYTE, "MB", against, whole / stored, 0.88)


def unchanged(folder: Path, sizes: Sizes) -> Row:
    """Sent for a database that is as it was, right after its first copy."""
    path, ours = folder / "app.db", Ours(folder / "ours")
    make_database(path, sizes.database_mb)
    ours.copy(path)
    again = ours.copy(path).sent_bytes
    limit = path.stat().st_size * 0.0002
    return row("offsite_unchanged", again / 1024, "KB", "0.02 % of its size", limit / again, 1.0)


def unchanged_later(folder: Path, sizes: Sizes) -> Row:
    """The same after 30 days of changes, when its pages are in many packs."""
    path, ours = folder / "app.db", Ours(folder / "ours")
    make_database(path, sizes.database_mb)
    for day in range(MONTH_DAYS):
        ours.copy(path)
        change(path, 1, day)
    ours.copy(path)
    again, limit = ours.copy(path).sent_bytes, path.stat().st_size * 0.001
    about = "0.1 % of its size, after 30 days"
    return row("offsite_unchanged_later", again / 1024, "KB", about, limit / again, 1.0)


def memory(folder: Path, sizes: Sizes) -> Row:
    """Of the helper process, at its most."""
    path, ours = folder / "app.db", Ours(folder / "ours")
    make_database(path, sizes.database_mb)
    ours.copy(path)
    return _memory_row("offsite_memory", ours.peak_mb, f"{sizes.database_mb} MB")


def memory_sparse(folder: Path, sizes: Sizes) -> Row:
    """The same for 16 times the size: a sparse file, copied twice."""
    path, ours = folder / "app.db", Ours(folder / "ours")
    with path.open("wb") as file:
        file.write(b"SQLite format 3\0" + (4096).to_bytes(2))
        file.truncate(16 * sizes.database_mb * MEGABYTE)
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(MEGABYTE):
            digest.update(piece)
    peaks = []
    for number in range(2):
        job = replace(
            ours.repository.job(Path(os.devnull)),
            path=str(path),
            size=path.stat().st_size,
            sha256=digest.hexdigest(),
        )
        with _Watched() as watched:
            run_copy(job)
        peaks.append((watched.peak_mb, number))
    about = f"{16 * sizes.database_mb} MB"
    return _memory_row("offsite_memory_sparse", max(peaks)[0], about)


def _memory_row(name: str, peak_mb: float, about: str) -> Row:
    against = f"{MOST_MEMORY_MB} MB, copying {about}"
    return row(name, peak_mb, "MB", against, MOST_MEMORY_MB / peak_mb, 1.0)


def month(folder: Path, sizes: Sizes, percent: float) -> list[tuple[int, int, int]]:
    """After each of 30 days: what ours, restic and whole files (zstd and age) take, in bytes."""
    path, ours, restic = folder / "app.db", Ours(folder / "ours"), Restic(folder / "restic")
    make_database(path, sizes.database_mb)
    restic("init")
    whole, days = 0, []
    for day in range(MONTH_DAYS):
        ours.copy(path)
        restic("backup", str(path))
        whole += len(compress(path.read_bytes()))
        days.append((ours.stored(), restic.stored(), whole))
        change(path, percent, day)
    return days


def _month(percent: float) -> Callable[[Path, Sizes], tuple[float, str, float]]:
    def measure(folder: Path, sizes: Sizes) -> tuple[float, str, float]:
        ours, restic, _whole = month(folder, sizes, percent)[-1]
        return ours / MEGABYTE, "MB", restic / ours

    return measure


def kept(folder: Path, sizes: Sizes) -> tuple[float, str, float]:
    """30 days, of which the last seven are kept; restic forgets and prunes."""
    world, restic = _site(folder), Restic(folder / "restic")
    make_database(world.database, sizes.database_mb)
    site = world.open()
    _add(site, world, {"keep": KEPT_DAYS})
    restic("init")
    for day in range(MONTH_DAYS):
        world.clock.advance(timedelta(days=1))
        backup = take_backup(site, site.context(operator()), filename=f"day-{day}")
        copy_missing(site, site.context(operator()), names=[backup.filename])
        restic("backup", str(site.store.path(backup.filename)))
        restic("forget", "--keep-last", str(KEPT_DAYS), "--group-by", "host", "--prune")
        collect(site, site.context(operator()), find_destination(site, PLACE))
        change(world.database, 1, day)
    world.clock.advance(timedelta(days=30))  # whatever was condemned may go
    for _ in range(2):
        collect(site, site.context(operator()), find_destination(site, PLACE))
    ours = size_of(folder / PLACE / "packs") + size_of(folder / PLACE / "copies")
    world.close()
    return ours / MEGABYTE, "MB", restic.stored() / ours


def collect_many(folder: Path, sizes: Sizes) -> Row:
    """Looking at a destination with 10,000 packs, of which nothing is downloaded."""
    world = _site(folder)
    make_database(world.database, 1)
    site = world.open()
    _add(site, world, {})
    take_backup(site, site.context(operator()), filename="one")
    copy_missing(site, site.context(operator()))
    for number in range(MANY_PACKS):
        name = sha256(str(number).encode()).hexdigest()
        pack = folder / PLACE / "packs" / name[:2] / name
        pack.parent.mkdir(exist_ok=True)
        pack.write_bytes(b"")
    begun = perf_counter()
    collect(site, site.context(operator()), find_destination(site, PLACE))
    seconds = perf_counter() - begun
    world.close()
    del sizes
    return row("offsite_collect", seconds, "s", "5 s at 10,000 packs", 5.0 / seconds, 1.0)


def _site(folder: Path) -> World:
    key = folder / "checkpoint.key"
    make_key("example.com/benchmarks", key)
    return World(folder, ManualClock(MIDNIGHT), {"checkpoint_key": key})


def _add(site: Site, world: World, settings: ChangedFields) -> None:
    identities = (new_identity(), new_identity())
    recipients = tuple(map(recipient_of, identities))
    url = f"file://{world.folder}/{PLACE}"
    wanted = NewDestination(url, PLACE, recipients, identities, settings=settings)
    add_destination(site, site.context(operator()), wanted)


BY_NAME: dict[str, Callable[[Path, Sizes], Row]] = {
    "offsite_sent": _beside_restic("offsite_sent", 6.0, sent),
    "offsite_sent_cpu": _beside_restic("offsite_sent_cpu", 3.0, sent_cpu),
    "offsite_first_cpu": _beside_restic("offsite_first_cpu", 1.2, first_cpu),
    "offsite_first_size": first_size,
    "offsite_restore_cpu": _beside_restic("offsite_restore_cpu", 1.0, restore_cpu),
    "offsite_month_0.1": _beside_restic("offsite_month_0.1", 6.0, _month(0.1)),
    "offsite_month_1": _beside_restic("offsite_month_1", 5.0, _month(1)),
    "offsite_month_10": _beside_restic("offsite_month_10", 3.0, _month(10)),
    "offsite_kept": _beside_restic("offsite_kept", 2.0, kept),
    "offsite_collect": collect_many,
    "offsite_unchanged": unchanged,
    "offsite_unchanged_later": unchanged_later,
    "offsite_memory": memory,
    "offsite_memory_sparse": memory_sparse,
}
