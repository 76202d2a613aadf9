"""Times: in records, and the clock they come from."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from freezegun import freeze_time
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger.clock import (
    ManualClock,
    SystemClock,
    format_instant,
    from_microseconds,
    to_microseconds,
)
from ledger.errors import RecordError
from ledger.events.catalog import BackupMissing
from ledger.events.scheduling import SettingsCreated, SlotsMissed
from ledger.records.record import decode_event, encode_event
from tests.ledger.golden_records import altered, golden
from tests.sample_events import NOW, draft, event, sample

SCHEDULE_LINE = golden("backup_scheduler.settings_created")


@pytest.mark.parametrize(
    "timestamp",
    [
        "2025-01-13T03:00:05Z",
        "2025-01-13T03:00:05.000Z",
        "2025-01-13T03:00:05.000000",
        "2025-01-13T03:00:05.000000+00:00",
        "2025-01-13T03:00:05.0000000Z",
        "2025-01-13 03:00:05.000000Z",
        "2025-01-13t03:00:05.000000z",
        "2025-01-13T03:00:05,000000Z",
        "2025-02-30T03:00:05.000000Z",
        "2025-01-13T24:00:00.000000Z",
        "2025-01-13T03:00:60.000000Z",
        "2025-W03-1T03:00:05.000000Z",
        "20250113T030005.000000000Z",
        "\uff12025-01-13T03:00:05.000000Z",
        "+2025-1-13T03:00:05.00000Z",
        "",
    ],
)
def test_a_time_in_another_form_is_refused(timestamp: str) -> None:
    """UTC, always six digits and Z: in the envelope, and in the details."""
    with pytest.raises(RecordError, match=r"timestamp"):
        decode_event(altered(timestamp=timestamp))
    details = json.loads(SCHEDULE_LINE)["details"] | {"next_backup_at": timestamp}
    with pytest.raises(RecordError, match=r"next_backup_at"):
        decode_event(altered(SCHEDULE_LINE, details=details))


@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime(1, 1, 1, tzinfo=UTC))
@example(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
def test_every_moment_is_read_back_as_it_was_written(moment: datetime) -> None:
    """Also of the first millennium, whose years have leading zeros."""
    made = event(draft(SlotsMissed, first_slot=moment), at=moment)
    assert decode_event(encode_event(made)) == made
    assert len(format_instant(moment)) == 27


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    """Aware is enough; the record has one form."""
    berlin = timezone(timedelta(hours=1))
    made = event(draft(BackupMissing), at=NOW.astimezone(berlin))
    assert json.loads(encode_event(made))["timestamp"] == "2025-01-13T03:00:05.000000Z"


def test_a_naive_time_is_refused() -> None:
    """Nobody can say when it was: neither in the envelope nor in the details."""
    naive = datetime(2025, 1, 13, 3, 0)
    with pytest.raises(ValidationError, match="no time zone"):
        event(draft(BackupMissing), at=naive)
    with pytest.raises(ValidationError, match="no time zone"):
        sample(SettingsCreated, next_backup_at=naive)


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_are_exact(moment: datetime) -> None:
    """`recorded_at` loses nothing, also before 1970."""
    assert from_microseconds(to_microseconds(moment)) == moment


def test_a_manual_clock_moves_only_when_told() -> None:
    """Back too, as real clocks do; its monotonic time never runs backwards."""
    clock = ManualClock(NOW)
    clock.advance(timedelta(minutes=1))
    clock.move_to(NOW - timedelta(days=1))
    assert clock.now() == NOW - timedelta(days=1)
    assert clock.monotonic() == 60.0


def test_a_manual_clock_wants_to_know_the_zone() -> None:
    """It is set to instants, not to readings of some wall."""
    with pytest.raises(ValueError, match="no time zone"):
        ManualClock(datetime(2025, 1, 13))
    with pytest.raises(ValueError, match="no time zone"):
        ManualClock(NOW).move_to(datetime(2025, 1, 13))


def test_the_systems_clock_is_aware_and_can_be_frozen() -> None:
    """Years of schedules are replayed in milliseconds."""
    with freeze_time("2030-05-06T07:08:09Z"):
        assert SystemClock().now() == datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC)
