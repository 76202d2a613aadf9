"""Which schedulers are there: each holds a lock on the ledger's server while it lives.

The lock goes with its connection, so nobody has to believe a clock. It decides nothing: leases
do. It tells `status` who is alive, and schedulers how many they are. On SQLite the locks of the
owners in the backups folder say the same.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import sha256
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from sqlalchemy import text

from commands.site.owner import is_alive
from ledger.append.backend import backend_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from commands.site.site import Site

logger = logging.getLogger("backup_ledger.presence")
LOOK_SECONDS = 10.0
"""How often a scheduler looks whether the server still knows it."""

FIRST_CHECK_WITHIN_SECONDS = 10.0
"""Schedulers that are started together spread their first checks over this time."""

# A machine that loses its power says nothing; without these it would look alive for hours.
_NOTICE_A_DEAD_MACHINE = (
    "SET tcp_keepalives_idle = 30",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
)
_LOCK = text("SELECT pg_try_advisory_lock(:ledger, :scheduler)")
_UNLOCK = text("SELECT pg_advisory_unlock(:ledger, :scheduler)")
_HELD = text(
    "SELECT l.objid::bigint, a.application_name, "
    "extract(epoch FROM clock_timestamp() - a.state_change)::float "
    "FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 "
    "AND l.classid::bigint = :ledger "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_CALLED = text("SELECT set_config('application_name', :name, false)")
NAME = "backup-ledger"
"""What the server calls a scheduler's connection; its labels follow, after a colon."""
_UNSIGNED = 2**32
_PRESENT, _NOT_READY = "schedulers", "schedulers that cannot work"


@dataclass(frozen=True, slots=True)
class Seen:
    """A scheduler that is there. None: not to be seen by this login.

    `silent_seconds`: since it last said so; it does every ten seconds, unless it is frozen.
    """

    labels: tuple[str, ...] | None
    silent_seconds: float | None


class _StillHeld(Exception):
    """The server has not noticed yet that an earlier connection is gone."""


class Presence:
    """While it is entered, the server knows this scheduler; nothing where there is no server."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._done = Event()
        self._connection: Connection | None = None
        self._said_not_ready = False
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        if is_on_server(self._site):
            self._look()
            self._thread = Thread(target=self._keep, name="backup-ledger-presence", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        self._leave()

    def first_check_after(self) -> float:
        """Seconds to wait, so that many that start at once do not all ask at once."""
        if not is_on_server(self._site):
            return 0.0
        interval = self._site.configuration.check_interval_seconds
        return self._site.random.uniform(0, min(interval, FIRST_CHECK_WITHIN_SECONDS))

    def _keep(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        """Take the lock, or see that the connection which has it is still there."""
        try:
            if self._connection is None:
                self._connection, self._said_not_ready = self._locked(), False
            self._connection.execute(text("SELECT 1"))
            is_not_ready = self._site.not_ready is not None
            if is_not_ready != self._said_not_ready:
                key = _key(self._site, self._site.instance, _NOT_READY)
                statement = _LOCK if is_not_ready else _UNLOCK
                if self._connection.execute(statement, key).scalar_one():
                    self._said_not_ready = is_not_ready
        except Exception as error:  # noqa: BLE001  (tried again)
            reason = getattr(error, "orig", None) or error
            logger.info("the server does not know now that we are here; tried again: %s", reason)
            self._leave()

    def _locked(self) -> Connection:
        engine = self._site.ledger.engine.execution_options(isolation_level="AUTOCOMMIT")
        connection = engine.connect()
        try:
            connection.detach()  # closed for good in the end: the lock is the connection's
            for statement in _NOTICE_A_DEAD_MACHINE:
                connection.execute(text(statement))
            connection.execute(_CALLED, {"name": _called(self._site)})
            if not connection.execute(_LOCK, _key(self._site, self._site.instance)).scalar_one():
                raise _StillHeld("a connection of ours that was lost still has the lock")
        except BaseException:
            connection.close()
            raise
        return connection

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.close()
        except Exception as error:  # noqa: BLE001  (it is gone, which is what was wanted)
            logger.info("%s", error)


def count_schedulers(site: Site) -> int:
    """How many schedulers the server knows, this one at least; 1 where there is no server."""
    return max(len(_held(site)), 1) if is_on_server(site) else 1


def count_others_ready(site: Site) -> int:
    """How many other schedulers do not say that they cannot work; 0 where there is no server."""
    if not is_on_server(site):
        return 0
    own = _key(site, site.instance)["scheduler"] % _UNSIGNED
    return len(_held(site).keys() - _held(site, _NOT_READY).keys() - {own})


def present_among(site: Site, instances: Collection[str]) -> dict[str, Seen]:
    """Those of these schedulers who are alive as far as can be seen from here."""
    found: dict[str, Seen] = {}
    if site.has_store:
        found |= {each: Seen(None, None) for each in instances if _has_lock(site, each)}
    if is_on_server(site):
        held = _held(site)
        keys = {each: _key(site, each)["scheduler"] % _UNSIGNED for each in instances}
        found |= {each: held[key] for each, key in keys.items() if key in held}
    return found


def labels_alive(site: Site) -> list[tuple[str, ...]] | None:
    """The labels of each scheduler that is there; None where that cannot be seen."""
    found = [each.labels for each in _held(site).values()] if is_on_server(site) else [None]
    known = [each for each in found if each is not None]
    return known if len(known) == len(found) else None


def _has_lock(site: Site, instance: str) -> bool:
    try:
        return is_alive(site.store.staging, instance)
    except OSError:
        return False  # a folder that we may only read: nobody can be seen there


def not_ready_among(site: Site, instances: Collection[str]) -> set[str]:
    """Those of these schedulers who say that they cannot do the work at the moment."""
    if not is_on_server(site):
        return set()
    held = _held(site, _NOT_READY)
    return {each for each in instances if _key(site, each)["scheduler"] % _UNSIGNED in held}


def _held(site: Site, what: str = _PRESENT) -> dict[int, Seen]:
    with site.ledger.engine.connect() as connection:
        ledger = _key(site, "", what)["ledger"] % _UNSIGNED
        rows = connection.execute(_HELD, {"ledger": ledger}).all()
    return {key: Seen(_labels_in(name), silent) for key, name, silent in rows}


def _called(site: Site) -> str:
    """At most 63 characters, all that a server keeps."""
    labels = ",".join(site.configuration.labels)
    return f"{NAME}: {labels}"[:63] if labels else NAME


def _labels_in(name: str | None) -> tuple[str, ...] | None:
    if name is None or not name.startswith(NAME):
        return None
    labels = name.removeprefix(NAME).removeprefix(": ")
    return tuple(labels.split(",")) if labels else ()


def _key(site: Site, instance: str, what: str = _PRESENT) -> dict[str, int]:
    """Two signed 32-bit numbers, as the server's locks have."""
    ledger_id = site.ledger.meta.ledger_id
    return {
        "ledger": _number(f"{what} of {ledger_id}"),
        "scheduler": _number(f"{ledger_id}/{instance}"),
    }


def _number(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:4], signed=True)


def is_on_server(site: Site) -> bool:
    return not backend_of(site.ledger.engine).is_of_one_machine
