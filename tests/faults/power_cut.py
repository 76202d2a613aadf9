"""Power cuts: what a file system may have forgotten when the power went, made so on the disk.

A story is killed after its k-th call on a file; until then every such call, of our process and of
those it starts, was noted. What was not flushed by then may be lost, and is made lost:

- A name (created, linked, renamed, removed) is safe once its directory was flushed after it. Of
  the others each directory keeps a beginning of any length, in order, as journals do.
- A file's content is safe once the file was flushed and not written since. Otherwise it may be
  gone: the file is as long as before and full of zeros, or empty, or half of it is there.

Not covered: what SQLite itself writes to the source, the ledger and the read models, which it
flushes in its own order (synchronous=FULL); these are as the kill left them. The staged snapshot,
which SQLite writes too, is covered: it counts as unflushed until we flush it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.boundary import Boundary, Perform

CHANGES = ("open", "mkdir", "link", "rename", "replace", "unlink", "rmdir")
FLUSHES = ("fsync", "fdatasync")
MAKES_A_FILE = ("open", "link", "rename", "replace")
SQLITES = ("app.db", "ledger.sqlite", "projections.sqlite")
"""We make or rename these, and SQLite writes and flushes them: see above."""


class Recorder:
    """Notes each call in `folder`/trace.jsonl; kills this process after number `cut_at`.

    What a call removes or replaces is kept in `folder`/kept, to be put back.
    """

    def __init__(self, site: str, folder: str, cut_at: int, *, is_helper: bool = False) -> None:
        self._boundary = Boundary(site, self._call)
        self._kept = os.path.join(folder, "kept")
        self._cut_at = cut_at
        self._is_helper = is_helper
        os.makedirs(self._kept, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._trace = os.open(os.path.join(folder, "trace.jsonl"), flags, 0o600)
        self._write, self._link = os.write, os.link

    def install(self) -> None:
        """This process does nothing else afterwards."""
        self._boundary.install()

    def _call(
        self, name: str, paths: list[str], perform: Perform, arguments: tuple[Any, ...]
    ) -> Any:
        if name not in CHANGES + FLUSHES:
            return perform(*arguments)
        existed = os.path.lexists(paths[-1])
        lost = self._keep(paths[-1]) if name in ("replace", "rename", "unlink") else None
        result = perform(*arguments)
        if name == "open" and (existed or not os.path.lexists(paths[-1])):
            return result
        if name == "mkdir" and existed:
            return result
        self._note(name, paths, lost)
        return result

    def _keep(self, path: str) -> str | None:
        if not os.path.isfile(path):
            return None
        kept = os.path.join(self._kept, str(len(os.listdir(self._kept))))
        self._link(path, kept)
        return kept

    def _note(self, name: str, paths: list[str], lost: str | None) -> None:
        seen = os.stat(paths[-1]) if os.path.exists(paths[-1]) else None
        line = {
            "call": name,
            "paths": paths,
            "lost": lost,
            "inode": seen and seen.st_ino,
            "written": seen and seen.st_mtime_ns,
        }
        self._write(self._trace, f"{json.dumps(line)}\n".encode())
        number = os.pread(self._trace, os.fstat(self._trace).st_size, 0).count(b"\n")
        if number == self._cut_at:
            if self._is_helper:
                os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Change:
    """One change of names. `needs`: directories that were not flushed since."""

    call: str
    paths: list[str]
    lost: str | None
    needs: set[str]


def calls_in(folder: Path) -> list[dict[str, Any]]:
    """What was noted."""
    return [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]


def lose_what_was_not_flushed(folder: Path, random: Random, *, believe_flushes: bool = True) -> int:
    """Change the folder's site to what the disk may hold after the power cut; how much was lost.

    `believe_flushes`: False for a disk that keeps nothing of what it was told to.
    """
    calls = calls_in(folder)
    if not believe_flushes:
        calls = [call for call in calls if call["call"] not in FLUSHES]
    changes, flushed = _unflushed(calls)
    contents = _unflushed_files(calls, flushed)
    lost = _chosen(changes, random)
    for path in contents:
        _lose_content(path, random)
    for change in reversed(lost):
        _undo(change)
    return len(lost) + len(contents)


def _unflushed(calls: list[dict[str, Any]]) -> tuple[list[Change], dict[int, int]]:
    """Changes of names that are not safe, in order; and each flushed inode's time of writing."""
    changes: list[Change] = []
    flushed: dict[int, int] = {}
    for call in calls:
        if call["call"] in FLUSHES:
            for change in changes:
                change.needs.discard(call["paths"][0])
            if call["inode"] is not None:
                flushed[call["inode"]] = call["written"]
            continue
        paths = call["paths"]
        concerned = paths[1:] if call["call"] == "link" else paths
        needs = {os.path.dirname(path) for path in concerned}
        changes.append(Change(call["call"], paths, call["lost"], needs))
    return [change for change in changes if change.needs], flushed


def _unflushed_files(calls: list[dict[str, Any]], flushed: dict[int, int]) -> list[Path]:
    """Files of ours whose content nobody brought to the disk."""
    made = {call["paths"][-1] for call in calls if call["call"] in MAKES_A_FILE}
    found = []
    for path in map(Path, sorted(made)):
        if path.is_file() and path.stat().st_size and path.name not in SQLITES:
            seen = path.stat()
            if flushed.get(seen.st_ino) != seen.st_mtime_ns:
                found.append(path)
    return found


def _chosen(changes: list[Change], random: Random) -> list[Change]:
    """Each directory forgets an end of its changes; what depends on it is forgotten too."""
    forgetful: dict[str, int] = {}
    for change in changes:
        for folder in change.needs:
            forgetful[folder] = forgetful.get(folder, 0) + 1
    kept = {folder: random.choice((0, random.randint(0, n))) for folder, n in forgetful.items()}
    lost: list[Change] = []
    broken: set[str] = set()
    for change in changes:
        for folder in change.needs:
            kept[folder] -= 1
            if kept[folder] < 0:
                broken.add(folder)
        parents = {str(parent) for path in change.paths[-1:] for parent in Path(path).parents}
        if broken & (change.needs | {each for each in parents if each in _made_in(lost)}):
            broken |= change.needs
            lost.append(change)
    return lost


def _made_in(lost: list[Change]) -> set[str]:
    return {change.paths[0] for change in lost if change.call == "mkdir"}


def _lose_content(path: Path, random: Random) -> None:
    size = path.stat().st_size
    how = random.choice(("zeros", "empty", "half"))
    with path.open("r+b") as file:
        file.truncate({"zeros": 0, "empty": 0, "half": size // 2}[how])
        if how == "zeros":
            file.truncate(size)


def _undo(change: Change) -> None:
    """Take one change of names back, the newest first."""
    new = change.paths[-1]
    if change.call in ("open", "link"):
        Path(new).unlink(missing_ok=True)
    elif change.call == "mkdir":
        shutil.rmtree(new, ignore_errors=True)
    elif change.call == "rmdir":
        Path(new).mkdir(mode=0o700, exist_ok=True)
    elif change.call == "unlink":
        _put_back(change.lost, new)
    elif os.path.lexists(new):
        os.rename(new, change.paths[0])
        _put_back(change.lost, new)


def _put_back(kept: str | None, path: str) -> None:
    # Its folder may be gone for good, flushed in the one above.
    if kept is not None and os.path.isdir(os.path.dirname(path)) and not os.path.lexists(path):
        os.link(kept, path)
