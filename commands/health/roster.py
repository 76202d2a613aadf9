"""The schedulers of a ledger: who is alive, and who does what.

Their start and stop are events; that one is alive shows in its lock
(`commands.health.presence`), and what it does in its leases. None of it decides anything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from commands.health.presence import (
    SILENT_SECONDS,
    Seen,
    labels_alive,
    not_ready_among,
    present_among,
)
from ledger.append.leases_and_names import all_leases, lease_now
from ledger.events.scheduling import SchedulerStarted, SchedulerStopped
from projections.queries.audit import AuditFilter, newest_matching, newest_matching_resources

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from commands.site.site import Site
    from ledger.append.leases_and_names import Lease

STARTS_LOOKED_AT = 2_000
"""The newest ones; `run --once` from cron makes one a minute."""

NEWS = timedelta(days=7)
"""So long after another one began on its host is it still named that one ended without a word."""

GONE_OF_A_HOST = 10
"""Of one that ends again and again without a word, the newest are named."""

State = Literal["working", "idle", "stuck", "not ready", "gone"]


@dataclass(frozen=True, slots=True)
class Scheduler:
    """One that started and did not say that it stopped.

    `state`: working: it has runs. idle: it has none. stuck: it is there, but does not renew its
    leases or has been silent, as if frozen. not ready: its database or folder is not there. gone:
    it ended without a word, and none began on its host since, or only in the last week; one that
    began there later and has stopped properly ends that, too. `labels`: None where they cannot be
    seen, as are those of who is gone.
    """

    instance: str
    host: str
    pid: int
    started_at: datetime
    check_interval_seconds: int
    software_version: str
    state: State
    runs: int
    labels: tuple[str, ...] | None = None
    silent_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Who has a run, and whether its lease ran out: then others may take it over."""

    scheduler: str
    is_over: bool


def schedulers_of(site: Site) -> list[Scheduler]:
    """Those that are alive or ended without a word, the newest first."""
    unfinished = _unfinished(site)
    instances = [each.instance for each in unfinished]
    present, not_ready = present_among(site, instances), not_ready_among(site, instances)
    started = _decoded(site, unfinished, present)
    with site.ledger.engine.connect() as connection:
        leases, now = all_leases(connection), lease_now(connection, site.clock.monotonic())
    held: dict[str, list[Lease]] = defaultdict(list)
    for lease in leases:
        held[lease.owner].append(lease)
    found: list[Scheduler] = []
    successors: dict[str, datetime] = {}
    for each in started:
        successor_at = successors.get(each.host)
        successors[each.host] = each.started_at
        own = held[each.instance]
        if each.instance in present:
            seen = present[each.instance]
            state = "not ready" if each.instance in not_ready else _state(own, now, seen)
            found.append(
                replace(
                    each.as_seen(state, len(own)),
                    labels=seen.labels,
                    silent_seconds=seen.silent_seconds,
                )
            )
        elif not each.has_successor and (
            successor_at is None or own or site.clock.now() - successor_at <= NEWS
        ):
            found.append(each.as_seen("gone", len(own)))
    return found


def holds(site: Site) -> dict[str, Hold]:
    """Who has each run that is open, by its run_id."""
    with site.ledger.engine.connect() as connection:
        leases, now = all_leases(connection), lease_now(connection, site.clock.monotonic())
    return {each.run_id: Hold(each.owner, each.expires_at < now) for each in leases}


def unserved_labels(site: Site) -> list[str]:
    """Labels of users that no scheduler has which is there; "" for users without one.

    Nothing where there are no labels, no scheduler at all, or where theirs cannot be seen.
    """
    configuration, alive = site.configuration, labels_alive(site)
    if not (configuration.label_users and alive):
        return []
    served = {label for labels in alive for label in labels or ("",)}
    return [label for label in (*configuration.label_users, "") if label not in served]


def _state(own: list[Lease], now: int, seen: Seen) -> State:
    is_silent = seen.silent_seconds is not None and seen.silent_seconds > SILENT_SECONDS
    if is_silent or any(each.expires_at < now for each in own):
        return "stuck"
    return "working" if own else "idle"


@dataclass(frozen=True, slots=True)
class _Start:
    """A start without a stop. `has_successor`: a later one of its host has stopped since."""

    instance: str
    host: str
    started_at: datetime
    details: SchedulerStarted
    has_successor: bool

    def as_seen(self, state: State, runs: int) -> Scheduler:
        return Scheduler(
            self.instance,
            self.host,
            self.details.pid,
            self.started_at,
            self.details.check_interval_seconds,
            self.details.software_version,
            state,
            runs,
        )


class _Unfinished(NamedTuple):
    """A start without a stop, not read yet. `has_later`: a later one of its host has stopped."""

    position: int
    instance: str
    has_later: bool


def _unfinished(site: Site) -> list[_Unfinished]:
    """Newest first."""
    starts = AuditFilter(event_type=SchedulerStarted.event_type)
    with site.read_models.reading() as connection:
        positions = newest_matching(connection, starts, STARTS_LOOKED_AT)
        instances = newest_matching_resources(
            connection, SchedulerStarted.event_type, STARTS_LOOKED_AT
        )
        stopped = set(
            newest_matching_resources(connection, SchedulerStopped.event_type, STARTS_LOOKED_AT)
        )
    found = []
    later: set[str] = set()
    for position, instance in zip(reversed(positions), instances, strict=True):
        if instance in stopped:
            later.add(_host_of(instance))
        else:
            found.append(_Unfinished(position, instance, _host_of(instance) in later))
    return found


def _decoded(
    site: Site, unfinished: Sequence[_Unfinished], present: Collection[str]
) -> list[_Start]:
    """Those who are there, and the newest of those who are not: one that crashes leaves many."""
    found = []
    gone: Counter[str] = Counter()
    for each in unfinished:
        host = _host_of(each.instance)
        if each.instance not in present:
            if each.has_later or gone[host] >= GONE_OF_A_HOST:
                continue
            gone[host] += 1
        for recorded in site.ledger.recorded(after=each.position - 1, up_to=each.position):
            details = recorded.event.details
            if isinstance(details, SchedulerStarted):
                moment = recorded.event.timestamp
                found.append(_Start(each.instance, details.host, moment, details, each.has_later))
    return found


def _host_of(instance: str) -> str:
    """An owner's name without process and random part."""
    return instance.rsplit("-", 2)[0]
