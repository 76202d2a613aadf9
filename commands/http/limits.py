"""How much one caller may ask for: requests a minute, and at once.

Operators are not limited. A user or an auditor who asks too much is told how long to wait, and
costs nobody else anything meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from fastapi import HTTPException

from commands.errors import TooMany
from ledger.vocabulary import BackupKind
from projections.queries.catalog import backups_of_owner

if TYPE_CHECKING:
    from commands.http.callers import Caller
    from commands.site.site import Site

AT_ONCE = 8
"""Requests of one caller that run at the same time, streams included."""
MAX_CALLERS = 10_000
MINUTE_SECONDS = 60.0


@dataclass
class _Allowance:
    """What is left of a minute's requests; it fills up again evenly."""

    left: float
    at: float
    running: int = 0

    def take(self, each_minute: int, now: float) -> float:
        """Take one; 0, or the seconds to wait until there is one."""
        self.left = min(each_minute, self.left + (now - self.at) * each_minute / MINUTE_SECONDS)
        self.at = now
        if self.left < 1:
            return (1 - self.left) * MINUTE_SECONDS / each_minute
        self.left -= 1
        return 0.0


class CallerLimits:
    """The allowances of one site's callers; memory, and nothing else."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._commands: OrderedDict[tuple[str, str], _Allowance] = OrderedDict()
        self._requests: OrderedDict[tuple[str, str], _Allowance] = OrderedDict()
        self._lock = Lock()

    def enter(self, caller: Caller, *, is_command: bool) -> None:
        """Let a request of a caller begin; `leave` follows when its answer was sent.

        Raises:
            HTTPException: 429 with Retry-After, the caller asks too much.
        """
        if caller.role == "operator":
            return
        settings, now = self._site.configuration, self._site.clock.monotonic()
        with self._lock:
            requests = _of(caller, self._requests, settings.http_requests_per_minute, now)
            if requests.running >= AT_ONCE:
                _refuse(f"{AT_ONCE} requests of yours are running; wait until one ends", 1.0)
            _take(requests, settings.http_requests_per_minute, "requests", now)
            if is_command:
                each_minute = settings.http_commands_per_minute
                commands = _of(caller, self._commands, each_minute, now)
                _take(commands, each_minute, "commands", now)
            requests.running += 1

    def leave(self, caller: Caller) -> None:
        """A request that was let in has ended."""
        with self._lock:
            found = self._requests.get((caller.role, caller.id))
            if found is not None:
                found.running -= 1


def require_room_for_backup(site: Site, caller: Caller) -> None:
    """Make sure that a user has room for one more backup made by hand.

    Raises:
        TooMany: as many as the setting `http_user_backups` allows are there.
    """
    most = site.configuration.http_user_backups
    if caller.user_id is None or not most:
        return
    with site.read_models.reading() as connection:
        present = backups_of_owner(connection, site.store.store_id, caller.user_id)
    if sum(each.kind == BackupKind.MANUAL for each in present) >= most:
        raise TooMany(f"{most} manual backups of yours already exist; delete one first")


def _of(
    caller: Caller, among: OrderedDict[tuple[str, str], _Allowance], each_minute: int, now: float
) -> _Allowance:
    """A caller's allowance; the callers who were not heard of for longest are forgotten."""
    who = (caller.role, caller.id)
    found = among.setdefault(who, _Allowance(each_minute, now))
    among.move_to_end(who)
    while len(among) > MAX_CALLERS:
        among.popitem(last=False)
    return found


def _take(allowance: _Allowance, each_minute: int, what: str, now: float) -> None:
    wait = allowance.take(each_minute, now) if each_minute else 0.0
    if wait:
        _refuse(f"more than {each_minute} {what} a minute are too many", wait)


def _refuse(why: str, wait: float) -> None:
    seconds = int(wait) + 1
    raise HTTPException(429, f"{why}; ask again in {seconds} s", {"Retry-After": str(seconds)})
