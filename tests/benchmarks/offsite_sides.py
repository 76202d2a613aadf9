"""The two sides of an off-site comparison, ours and restic, and the database that both copy.

restic is the one on the PATH (Debian has it).
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Self

from commands.offsite.repository.seal import new_identity
from commands.offsite.worker.jobs import CopyResult
from commands.offsite.worker.run import run_copy, run_fetch
from tests.commands.offsite.repositories import Repository

MEGABYTE = 1024 * 1024
ROW_BYTES = 450
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


TOGETHER_ROWS = 20
"""What belongs to one case lies together: an application writes it in one go."""


def change(path: Path, percent: float, day: int, together: int = 1) -> None:
    """So many percent of the rows get another text, in runs of `together` neighbors anywhere."""
    random = Random(day)
    with closing(sqlite3.connect(path)) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM notes").fetchone()
        wanted = max(1, round(rows * percent / 100 / together))
        runs = random.sample(range(rows // together), wanted)
        connection.executemany(
            "UPDATE notes SET text = ? WHERE id = ?",
            [
                (text(random), run * together + each)
                for run in runs
                for each in range(1, together + 1)
            ],
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

    def copy(self, path: Path, digest: str | None = None) -> CopyResult:
        """`digest`: of a file that is too large to be read at once."""
        if digest is None:
            job = self.repository.job(path)
        else:
            empty = self.repository.job(Path(os.devnull))
            job = replace(empty, path=str(path), size=path.stat().st_size, sha256=digest)
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
        ours = Path("/proc/self/cmdline").read_bytes()
        while not self._ended.wait(0.02):
            with suppress(OSError, ValueError, IndexError):
                for child in children.read_text().split():
                    if Path(f"/proc/{child}/cmdline").read_bytes() == ours:
                        continue  # it has not begun its program, and has our memory until then
                    for line in Path(f"/proc/{child}/status").read_text().splitlines():
                        if line.startswith("VmHWM"):
                            self.peak_mb = max(self.peak_mb, int(line.split()[1]) / 1024)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
