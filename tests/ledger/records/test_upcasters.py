"""Old details become new ones, a version at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import RecordError, UnknownEvent
from ledger.events import REGISTRY
from ledger.records.upcasters import UPCASTERS, upcast

KIND = "backup_scheduler.stop"
Table = dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]]


def step(number: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """An upcaster that leaves its mark."""
    return lambda details: {**details, "steps": [*details.get("steps", []), number]}


def chain(newest: int) -> Table:
    return {(KIND, number): step(number) for number in range(1, newest)}


@given(st.integers(1, 8), st.integers(1, 8))
def test_each_step_is_taken_once_and_in_order(version: int, newest: int) -> None:
    """Details of any older version pass every upcaster after it."""
    if version > newest:
        version, newest = newest, version
    details = upcast(KIND, version, newest, {}, chain(newest))
    assert details.get("steps", []) == list(range(version, newest))


def test_details_of_the_newest_version_are_left_as_they_are() -> None:
    """No upcaster runs, not even one that is there."""
    details = {"reason": "signal"}
    assert upcast(KIND, 3, 3, details, chain(9)) == {"reason": "signal"}


def test_the_stored_details_are_not_changed() -> None:
    """Records are never rewritten, also not in memory."""
    stored = {"reason": "signal"}
    upcast(KIND, 1, 3, stored, chain(3))
    assert stored == {"reason": "signal"}


def test_a_missing_step_is_an_error_that_names_type_and_version() -> None:
    """A chain with a hole never guesses."""
    table = chain(4)
    del table[KIND, 2]
    with pytest.raises(UnknownEvent, match=r"backup_scheduler\.stop version 2"):
        upcast(KIND, 1, 4, {}, table)


def test_another_types_upcaster_is_no_substitute() -> None:
    """Steps belong to their event type."""
    with pytest.raises(UnknownEvent, match="no upcaster"):
        upcast("backup_scheduler.start", 1, 2, {}, chain(2))


@pytest.mark.parametrize("version", [2, 3, 1_000_000])
def test_a_newer_version_asks_for_newer_software(version: int) -> None:
    """An older program does not pretend to understand newer records."""
    with pytest.raises(UnknownEvent, match="newer software"):
        upcast(KIND, version, 1, {}, {})


@pytest.mark.parametrize("version", [0, -1])
def test_versions_below_one_do_not_exist(version: int) -> None:
    """No upcaster leads from there."""
    with pytest.raises(UnknownEvent):
        upcast(KIND, version, 1, {})


def test_an_unknown_version_is_a_record_error() -> None:
    """Whoever handles bad records handles this one."""
    assert issubclass(UnknownEvent, RecordError)


def test_every_older_version_in_the_registry_has_its_upcaster() -> None:
    """Who raises a schema version writes the step from the one before."""
    wanted = {
        (kind.event_type, version)
        for kind in REGISTRY.values()
        for version in range(1, kind.schema_version)
    }
    assert set(UPCASTERS) == wanted


def test_settings_of_version_2_have_no_cron_expression() -> None:
    """They had a frequency alone."""
    created = upcast("backup_scheduler.settings_created", 2, 3, {"frequency": "daily"})
    assert created == {"frequency": "daily", "cron": None, "nonce": None}


def test_restore_of_version_1_does_not_say_whether_it_was_forced() -> None:
    """0.1.0 did not record it: null, never a guess."""
    for name in ("started", "completed", "error", "interrupted"):
        assert upcast(f"backup_restore.{name}", 1, 2, {"mode": "replace"}) == {
            "mode": "replace",
            "forced": None,
        }


def test_backup_of_version_1_names_the_tables_that_could_not_be_checked() -> None:
    """0.1.0 said so among its warnings; a flawed database got no backup at all."""
    details = upcast(
        "backup_catalog.backup_created",
        1,
        2,
        {"warnings": ["table people not checked: no such collation", "less than half"]},
    )
    assert (details["condition"], details["unchecked"]) == ("unchecked", ["people"])
    assert (details["findings"], details["collapsed_from"]) == ([], None)


def test_backup_of_version_1_without_such_warnings_was_checked_whole() -> None:
    """And nobody knows its day on the wall."""
    details = upcast("backup_catalog.backup_created", 1, 2, {"warnings": []})
    assert (details["condition"], details["unchecked"], details["local_day"]) == ("ok", [], None)
