"""Idempotency-Key: a command that is asked for again is done once, also across a restart.

The answer to each such command is kept in a small file of the backups folder, named by the hash
of caller and key, and locked while the command runs. If the process is killed in between, the
ledger tells whether the command was done: its events have the correlation that is derived from
the same hash.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi import HTTPException
from starlette.responses import Response

from commands.http.problems import problem
from ledger.canonical_json import parse_json

if TYPE_CHECKING:
    from pathlib import Path

    from commands.http.callers import Caller
    from commands.site.site import Site

FOLDER = ".requests"
KEPT_SECONDS = 7 * 24 * 3600
MAX_KEY_CHARACTERS = 200
SUCCESS = range(200, 300)


class AlreadyAnswered(Exception):
    """The command was done before; `response` is what was answered then."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered before")
        self.response = response


@dataclass
class OpenRequest:
    """A command with a key, while it runs."""

    path: Path
    descriptor: int
    correlation_id: str
    facts: dict[str, Any]

    def finish(self, response: Response) -> None:
        """Keep the answer to a command that was done; forget one that was refused."""
        if response.status_code in SUCCESS:
            facts = self.facts | {
                "status": response.status_code,
                "body": bytes(response.body).decode(),
                "media_type": response.headers.get("content-type"),
            }
            _write(self.descriptor, facts)
        else:
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class IdempotencyStore:
    """The keys that one site was given."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def begin(self, caller: Caller, key: str, request: bytes) -> OpenRequest:
        """Begin a command that may be repeated.

        Raises:
            AlreadyAnswered: it was done.
            HTTPException: it runs at this moment, or the key was used for something else.
        """
        if not key.isascii() or not key.isprintable() or not 1 <= len(key) <= MAX_KEY_CHARACTERS:
            raise HTTPException(422, "Idempotency-Key: give 1 to 200 printable ASCII characters")
        ledger_id = self._site.ledger.meta.ledger_id
        name = sha256(json.dumps([ledger_id, caller.role, caller.id, key]).encode()).digest()
        path = self._folder() / name.hex()
        descriptor = _locked(path)
        try:
            kept = _read(descriptor)
            facts = {"request": sha256(request).hexdigest()}
            correlation_id = str(UUID(bytes=name[:16], version=4))
            if kept is not None:
                self._replay(kept, facts["request"], correlation_id)
            facts["position"] = self._site.ledger.log_recorder.head().size  # type: ignore[assignment]
            _write(descriptor, facts)
        except BaseException:
            os.close(descriptor)
            raise
        return OpenRequest(path, descriptor, correlation_id, facts)

    def _replay(self, kept: dict[str, Any], request: str, correlation_id: str) -> None:
        if kept["request"] != request:
            raise HTTPException(422, "this Idempotency-Key was used for another request; make one")
        if "status" in kept:
            headers = {"Idempotent-Replayed": "true"}
            raise AlreadyAnswered(
                Response(kept["body"], kept["status"], headers, kept["media_type"])
            )
        done = self._events_of(correlation_id, kept["position"])
        if done:
            raise AlreadyAnswered(
                problem(
                    409,
                    "the service was stopped during this request; what it did is in the "
                    f"ledger at positions {', '.join(map(str, done[:20]))}",
                    positions=done,
                )
            )

    def _events_of(self, correlation_id: str, after: int) -> list[int]:
        return [
            row.position
            for row in self._site.ledger.records(after=after)
            if correlation_id.encode() in row.record
            and parse_json(row.record)["correlation_id"] == correlation_id
        ]

    def _folder(self) -> Path:
        folder = self._site.store.folder / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        oldest = time.time() - KEPT_SECONDS  # the files' own clock
        for each in os.scandir(folder):
            with suppress(FileNotFoundError):
                if each.stat().st_mtime < oldest:
                    os.unlink(each.path)
        return folder


def _locked(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise HTTPException(
                409, "the same request is still running; ask again later", {"Retry-After": "1"}
            ) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)  # it was refused and forgotten meanwhile


def _read(descriptor: int) -> dict[str, Any] | None:
    data = os.pread(descriptor, 1 << 24, 0)
    try:
        return dict(json.loads(data)) if data else None
    except ValueError:
        return None  # cut short before anything was done


def _write(descriptor: int, facts: dict[str, Any]) -> None:
    data = json.dumps(facts).encode()
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))
    os.fsync(descriptor)
