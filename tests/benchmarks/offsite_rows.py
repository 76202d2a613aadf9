"""Off-site copies beside restic: bytes sent, processors, size of the store, memory.

The rows of one day come from the same rounds: a first copy, one right after it, one after a
percent of the rows changed, a restore; each side in turn. Where there is no restic, a row says so
and is not met.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from time import perf_counter

from commands.audit.keys import make_key
from commands.backups.take import take_backup
from commands.offsite.add import NewDestination, add_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.deleting.collect import collect
from commands.offsite.destinations import find_destination
from commands.offsite.repository.seal import Sealer, compress, new_identity, recipient_of
from commands.site.actors import operator
from commands.site.site import Site
from ledger.clock import ManualClock
from ledger.events.base import ChangedFields
from tests.benchmarks.measuring import Rounds, Row, Sizes
from tests.benchmarks.offsite_sides import (
    MEGABYTE,
    TOGETHER_ROWS,
    Ours,
    Restic,
    change,
    make_database,
    size_of,
)
from tests.commands.world import MIDNIGHT, World

DAY_ROUNDS = 3
MONTH_DAYS = 30
MONTH_SHARE = 32
"""A month is of a database of this share of the full size: thirty copies of each side, kept."""
KEPT_DAYS = 7
MOST_MEMORY_MB = 150
MANY_PACKS = 10_000
PLACE = "elsewhere"
NO_RESTIC = "restic, which is not installed here"
DATABASE = "app.db"


def row(name: str, value: float, unit: str, against: str, ratio: float, target: float) -> Row:
    return Row(name, value, unit, against, ratio, target, ratio >= target)


def _has_restic() -> bool:
    return shutil.which("restic") is not None


def _day(folder: Path, database: Path) -> dict[str, float]:
    """One round. Bytes, processors' seconds of each part, megabytes of memory."""
    path, ours, restic = folder / DATABASE, Ours(folder / "ours"), Restic(folder / "restic")
    shutil.copy(database, path)
    found: dict[str, float] = {"size": path.stat().st_size}
    found["first"] = ours.copy(path).sent_bytes
    found["first_cpu"], found["peak_mb"] = ours.cpu_seconds, ours.peak_mb
    if _has_restic():
        restic("init")
        found["restic_first_cpu"] = restic("backup", str(path))
    found["unchanged"] = ours.copy(path).sent_bytes
    change(path, 1, 1)
    found["sent"], found["sent_cpu"] = ours.copy(path).sent_bytes, ours.cpu_seconds
    if _has_restic():
        before = restic.stored()
        found["restic_sent_cpu"] = restic("backup", str(path))
        found["restic_sent"] = restic.stored() - before
    found["restore_cpu"] = ours.restore(folder / "restored.db")
    if _has_restic():
        back = str(folder / "back")
        found["restic_restore_cpu"] = restic("restore", "latest", "--target", back)
    return found


@cache
def _days(sizes: Sizes) -> list[dict[str, float]]:
    """The rounds, measured once for all rows that are about them."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, DATABASE)
        make_database(database, sizes.database_mb)
        rounds = []
        for number in range(min(DAY_ROUNDS, sizes.rounds)):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                rounds.append(_day(Path(place), database))
            if number == 0:
                whole = Sealer([recipient_of(new_identity())]).seal(compress(database.read_bytes()))
                rounds[0]["whole"] = len(whole)
        return rounds


def _against_restic(
    name: str, target: float, part: str, unit: str = "CPU s", divisor: float = 1.0
) -> Callable[[Path, Sizes], Row]:
    """The row of a part of the day: restic's figure over ours."""

    def measured(folder: Path, sizes: Sizes) -> Row:
        del folder
        if not _has_restic():
            return row(name, 0.0, "", NO_RESTIC, 0.0, target)
        days = _days(sizes)
        sides = [(day[part], day[f"restic_{part}"]) for day in days]
        rounds = Rounds(sides, sides if unit == "CPU s" else [])
        value = rounds.seconds_of() / divisor, unit
        return rounds.row(name, value, "restic", lambda ours, theirs: theirs / ours, target)

    return measured


def first_size(folder: Path, sizes: Sizes) -> Row:
    """Beside one whole file through zstd -3 and age."""
    del folder
    day, against = _days(sizes)[0], "one file through zstd -3 and age"
    ratio = day["whole"] / day["first"]
    return row("offsite_first_size", day["first"] / MEGABYTE, "MB", against, ratio, 0.88)


def unchanged(folder: Path, sizes: Sizes) -> Row:
    """Sent for a database that is as it was, right after its first copy."""
    del folder
    day = _days(sizes)[0]
    again, limit = day["unchanged"], day["size"] * 0.0002
    return row("offsite_unchanged", again / 1024, "KB", "0.02 % of its size", limit / again, 1.0)


def unchanged_later(folder: Path, sizes: Sizes) -> Row:
    """The same after 30 days of changes, when its pages are in many packs."""
    path, ours = folder / DATABASE, Ours(folder / "ours")
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
    del folder
    peak_mb = max(day["peak_mb"] for day in _days(sizes))
    return _memory_row("offsite_memory", peak_mb, f"{sizes.database_mb} MB")


def memory_sparse(folder: Path, sizes: Sizes) -> Row:
    """The same for 16 times the size: a sparse file, copied twice."""
    path, ours = folder / DATABASE, Ours(folder / "ours")
    with path.open("wb") as file:
        file.write(b"SQLite format 3\0" + (4096).to_bytes(2))
        file.truncate(16 * sizes.database_mb * MEGABYTE)
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(MEGABYTE):
            digest.update(piece)
    peaks = []
    for _ in range(2):
        ours.copy(path, digest.hexdigest())
        peaks.append(ours.peak_mb)
    return _memory_row("offsite_memory_sparse", max(peaks), f"{16 * sizes.database_mb} MB")


def _memory_row(name: str, peak_mb: float, about: str) -> Row:
    against = f"{MOST_MEMORY_MB} MB, copying {about}"
    return row(name, peak_mb, "MB", against, MOST_MEMORY_MB / peak_mb, 1.0)


def month(
    folder: Path, megabytes: int, percent: float, together: int = 1
) -> list[tuple[int, int, int]]:
    """After each of 30 days: what ours, restic and whole files (zstd and age) take, in bytes."""
    path, ours, restic = folder / DATABASE, Ours(folder / "ours"), Restic(folder / "restic")
    make_database(path, megabytes)
    restic("init")
    whole, days = 0, []
    for day in range(MONTH_DAYS):
        ours.copy(path)
        restic("backup", str(path))
        whole += len(compress(path.read_bytes()))
        days.append((ours.stored(), restic.stored(), whole))
        change(path, percent, day, together)
    return days


def _month(
    name: str, target: float, percent: float, together: int = 1
) -> Callable[[Path, Sizes], Row]:
    """The row of 30 days; `together`: of the rows that change, how many are neighbors."""

    def measured(folder: Path, sizes: Sizes) -> Row:
        if not _has_restic():
            return row(name, 0.0, "", NO_RESTIC, 0.0, target)
        megabytes = _month_mb(sizes)
        days = month(folder, megabytes, percent, together)
        ours, restic, _whole = days[-1]
        against = f"restic, 30 days of {megabytes} MB"
        return replace(row(name, ours / MEGABYTE, "MB", against, restic / ours, target), days=days)

    return measured


def _month_mb(sizes: Sizes) -> int:
    return max(1, sizes.database_mb // MONTH_SHARE)


def kept(folder: Path, sizes: Sizes) -> Row:
    """30 days, of which the last seven are kept; restic forgets and prunes."""
    name, target = "offsite_kept", 2.0
    if not _has_restic():
        return row(name, 0.0, "", NO_RESTIC, 0.0, target)
    world, restic = _site(folder), Restic(folder / "restic")
    make_database(world.database, _month_mb(sizes))
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
    against = f"restic with prune, {_month_mb(sizes)} MB"
    return row(name, ours / MEGABYTE, "MB", against, restic.stored() / ours, target)


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
    "offsite_sent": _against_restic("offsite_sent", 6.0, "sent", "MB", MEGABYTE),
    "offsite_sent_cpu": _against_restic("offsite_sent_cpu", 3.0, "sent_cpu"),
    "offsite_first_cpu": _against_restic("offsite_first_cpu", 1.2, "first_cpu"),
    "offsite_first_size": first_size,
    "offsite_restore_cpu": _against_restic("offsite_restore_cpu", 1.0, "restore_cpu"),
    "offsite_month_0.1": _month("offsite_month_0.1", 6.0, 0.1),
    "offsite_month_1": _month("offsite_month_1", 5.0, 1),
    "offsite_month_10": _month("offsite_month_10", 3.0, 10),
    **{
        f"offsite_month_{percent}_together": _month(
            f"offsite_month_{percent}_together", target, percent, TOGETHER_ROWS
        )
        for percent, target in ((0.1, 6.0), (1, 5.0), (10, 3.0))
    },
    "offsite_kept": kept,
    "offsite_collect": collect_many,
    "offsite_unchanged": unchanged,
    "offsite_unchanged_later": unchanged_later,
    "offsite_memory": memory,
    "offsite_memory_sparse": memory_sparse,
}
