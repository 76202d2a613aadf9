"""Every event type has a sentence, and times and sizes read well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from commands.reporting import humanize as moments
from commands.reporting import sentences as story
from ledger.events import REGISTRY, Details
from tests.sample_events import SAMPLES, draft, event

NOW = datetime(2025, 1, 13, 3, 0, 5, tzinfo=UTC)


def test_every_event_type_has_a_sentence() -> None:
    """A new event type without one is found here, not by a person in a crash."""
    assert set(REGISTRY) == story.TOLD_TYPES


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=lambda kind: kind.event_type)
def test_each_sentence_reads_as_one(kind: type[Details]) -> None:
    """It begins with a capital or a name, ends with a full stop, and shows no Python."""
    told = story.sentence(event(draft(kind)))
    assert told.endswith("."), told
    for python in ("None", "True", "False", "datetime", "{", "}", "<", "[]"):
        assert python not in told, told
    assert "  " not in told, told


def test_every_event_type_has_a_sample() -> None:
    """Or the test above would pass over it."""
    assert set(SAMPLES) == set(REGISTRY.values())


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=29), "29 days ago"),
        (timedelta(days=30), "1 month ago"),
        (timedelta(days=364), "12 months ago"),
        (timedelta(days=730), "2 years ago"),
        (timedelta(hours=-5), "in 5 hours"),
    ],
)
def test_relative_times_round_down(ago: timedelta, said: str) -> None:
    """In the largest unit that fits."""
    assert moments.relative(NOW - ago, NOW) == said


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (12_400_000, "12.4 MB"),
        (2**63, "9.2 EB"),
    ],
)
def test_sizes_never_show_a_thousand(size_bytes: int, said: str) -> None:
    """999.95 kB is 1.0 MB."""
    assert moments.size(size_bytes) == said


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2025-01-13", "2025-01-13T00:00:00+00:00"),
        ("2025-01-13 03:00", "2025-01-13T03:00:00+00:00"),
        ("2025-01-13T03:00:05.000001Z", "2025-01-13T03:00:05.000001+00:00"),
        ("2025-01-13T03:00+02:00", "2025-01-13T01:00:00+00:00"),
    ],
)
def test_a_time_without_a_zone_is_utc(typed: str, meant: str) -> None:
    """The help says so."""
    assert moments.parse_moment(typed).isoformat() == meant
