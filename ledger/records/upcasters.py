"""Old details -> new details: pure functions on dicts, one per (event type, version).

An upcaster for ("type", n) turns details of schema version n into version n + 1.
Records are never rewritten; this happens each time an old one is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ledger.errors import UnknownEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _without_nonce(details: dict[str, Any]) -> dict[str, Any]:
    """Records up to 0.2.0 have none: a guess of what was erased from one can be confirmed."""
    return details | {"nonce": None}


_IN_0_2_0 = """
backup_catalog 1 backup_error backup_found backup_missing backup_verified backup_corrupt
backup_catalog 1 deletion_started backup_deleted hold_placed hold_released backup_accepted
backup_catalog 2 backup_created
backup_offsite 1 destination_added destination_changed destination_attached destination_detached
backup_offsite 1 destination_removed pack_missing pack_found copy_started copy_completed copy_error
backup_offsite 1 copy_abandoned copy_verified copy_corrupt copy_fetch_started copy_fetched
backup_offsite 1 copy_fetch_error
backup_restore 2 started completed error interrupted
backup_retention 1 safety_check error delete_error cleanup_empty cleanup_old_protected
backup_retention 2 applied
backup_scheduler 1 start stop check_error settings_error backup_started slots_missed
backup_scheduler 2 settings_created settings_updated paused resumed
backup_scheduler 2 backup_completed backup_error backup_abandoned
ledger 1 clock_jumped source_registered source_moved source_optimized token_created token_revoked
ledger 1 projection_rebuilt recovered evidence_exported
ledger 1 notification_queued notification_sent notification_error
"""
LAST_WITHOUT_NONCE: Mapping[str, int] = {
    f"{family}.{name}": int(version)
    for family, version, *names in map(str.split, _IN_0_2_0.strip().splitlines())
    for name in names
}
"""Event type -> its version in 0.2.0, the last one without a nonce. Later types always had one."""


def _restore_without_forced(details: dict[str, Any]) -> dict[str, Any]:
    """Version 1 did not record whether a restore was forced."""
    return details | {"forced": None}


_NOT_CHECKED = re.compile(r"table (.+) not checked: .+", re.DOTALL)


def _backup_without_condition(details: dict[str, Any]) -> dict[str, Any]:
    """Version 1 refused flawed databases, and named unchecked tables among its warnings."""
    found = (_NOT_CHECKED.fullmatch(warning) for warning in details["warnings"])
    unchecked = [match[1] for match in found if match]
    return details | {
        "condition": "unchecked" if unchecked else "ok",
        "findings": [],
        "unchecked": unchecked,
        "cipher": None,
        "local_day": None,
        "collapsed_from": None,
    }


def _without_next_slot(details: dict[str, Any]) -> dict[str, Any]:
    """Version 1 said when the next run is, not which slot it is for; the claim finds out."""
    return details | {"next_slot": None}


def _without_anchor_day(details: dict[str, Any]) -> dict[str, Any]:
    return _without_next_slot(details) | {"anchor_day": None}


def _keeping_a_count(details: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew no other rule of retention than keep_count."""
    return _without_anchor_day(details) | _by_count_alone(details)


def _by_count_alone(details: dict[str, Any]) -> dict[str, Any]:
    periods = ("within_days", "daily", "weekly", "monthly", "yearly")
    return details | {f"keep_{period}": 0 for period in periods}


def _without_cron(details: dict[str, Any]) -> dict[str, Any]:
    """Version 2 knew the three frequencies alone."""
    return _without_nonce(details) | {"cron": None}


def _of_the_whole_backup(details: dict[str, Any]) -> dict[str, Any]:
    """Version 2 knew no restore of some tables."""
    return _without_nonce(details) | {"tables": None}


def _without_targets(details: dict[str, Any]) -> dict[str, Any]:
    """Version 1 named the targets in its message alone: all are tried again."""
    return _without_nonce(details) | {"failed_targets": []}


UPCASTERS: Mapping[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {
    ("backup_catalog.backup_created", 1): _backup_without_condition,
    **{
        (f"backup_restore.{name}", 1): _restore_without_forced
        for name in ("started", "completed", "error", "interrupted")
    },
    ("backup_retention.applied", 1): _by_count_alone,
    ("backup_scheduler.settings_created", 1): _keeping_a_count,
    ("backup_scheduler.settings_updated", 1): _without_anchor_day,
    ("backup_scheduler.paused", 1): _without_anchor_day,
    ("backup_scheduler.resumed", 1): _without_anchor_day,
    ("backup_scheduler.backup_completed", 1): _without_next_slot,
    ("backup_scheduler.backup_error", 1): _without_next_slot,
    ("backup_scheduler.backup_abandoned", 1): _without_next_slot,
    **dict.fromkeys(LAST_WITHOUT_NONCE.items(), _without_nonce),
    ("ledger.notification_error", 1): _without_targets,
    ("backup_restore.started", 2): _of_the_whole_backup,
    ("backup_scheduler.settings_created", 2): _without_cron,
}


def upcast(
    event_type: str,
    version: int,
    newest: int,
    details: dict[str, Any],
    upcasters: Mapping[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = UPCASTERS,
) -> dict[str, Any]:
    """Bring details to the newest version, a step at a time.

    Raises:
        UnknownEvent: the version is newer than the code, or a step is missing.
    """
    while version < newest:
        step = upcasters.get((event_type, version))
        if step is None:
            raise UnknownEvent(f"{event_type} version {version}: no upcaster leads to the next")
        details = step(details)
        version += 1
    if version != newest:
        raise UnknownEvent(
            f"{event_type} version {version} was written by newer software; update backup-ledger"
        )
    return details
