"""Which backups are kept, with which reasons, and which may go."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commands.retention.rules import Candidate, InvalidKeepCount, Kept, RetentionPlan, plan
from ledger.vocabulary import BackupStatus

NOW = datetime(2025, 1, 31, 12, tzinfo=UTC)
OLDEST = 1_000
"""More tenths of a day than any backup here is old: the older, the earlier in the ledger."""
FLAGS = {"P": "is_protected", "H": "held", "R": "being_restored"}


def backup(name: str, age_days: float, marks: str = "", **fields: Any) -> Candidate:
    """One backup; marks: P protected, H held, R being restored, C corrupt."""
    flags = {field: mark in marks for mark, field in FLAGS.items()}
    values: dict[str, Any] = {
        "backup_id": name,
        "filename": f"{name}.db",
        "created_at": NOW - timedelta(days=age_days),
        "status": "corrupt" if "C" in marks else "ok",
        "just_made": False,
        "owner": 1,
        "is_flawed": False,
        "is_before_collapse": False,
        "source": "justice",
        "local_day": (NOW - timedelta(days=age_days)).date().isoformat(),
        "position": OLDEST - int(age_days * 10),
    }
    found = values | flags | fields
    return Candidate(**({"stands_at": found["position"]} | found))


def kept_reasons(found: RetentionPlan) -> dict[str, str]:
    return {kept.backup_id: " ".join(kept.reasons) for kept in found.kept}


def ids(backups: Sequence[Candidate]) -> list[str]:
    return [backup.backup_id for backup in backups]


# name: (backups as "id age marks", keep_count, keep_within_days, kept with reasons, deleted)
GOLDEN: dict[str, tuple[str, int, int, dict[str, str], str]] = {
    "nothing there": ("", 3, 0, {}, ""),
    "fewer than the count": ("a 1, b 2", 3, 0, dict.fromkeys("ab", "within_keep_count"), ""),
    "more than the count": (
        "a 1, b 2, c 3, d 4",
        2,
        0,
        dict.fromkeys("ab", "within_keep_count"),
        "d c",
    ),
    "protected ones take no place": (
        "p 1 P, a 2, q 3 P, b 4",
        1,
        0,
        {"p": "protected", "a": "within_keep_count", "q": "protected"},
        "b",
    ),
    "held ones stay and take a place": (
        "a 1, h 2 H, b 3, k 4 H",
        2,
        0,
        {"a": "within_keep_count", "h": "within_keep_count held", "k": "held"},
        "b",
    ),
    "one being restored stays": (
        "a 1, r 2 R",
        1,
        0,
        {"a": "within_keep_count", "r": "being_restored"},
        "",
    ),
    "young ones stay": (
        "a 1, b 2, c 6.99, d 7, e 8",
        1,
        7,
        {"a": "within_keep_count within_days", "b": "within_days", "c": "within_days"},
        "e d",
    ),
    "corrupt ones take no place and go when older": (
        "x 1 C, a 2, y 3 C, b 4, z 5 C, c 6",
        2,
        0,
        {
            "x": "corrupt_not_counted",
            "a": "within_keep_count",
            "y": "corrupt_not_counted",
            "b": "within_keep_count",
        },
        "c z",
    ),
    "only corrupt ones": ("x 1 C, y 2 C", 1, 0, dict.fromkeys("xy", "corrupt_not_counted"), ""),
    "old corrupt ones behind a guard": (
        "a 1, h 2 CH, p 3 CP, r 4 CR, x 5 C",
        1,
        0,
        {"a": "within_keep_count", "h": "held", "p": "protected", "r": "being_restored"},
        "x",
    ),
    "a corrupt one that is newer has its other reasons too": (
        "x 1 CHR, a 2",
        1,
        3,
        {
            "x": "within_days held being_restored corrupt_not_counted",
            "a": "within_keep_count within_days",
        },
        "",
    ),
    "a corrupt protected one is simply protected": (
        "x 1 CP, a 2",
        1,
        0,
        {"x": "protected", "a": "within_keep_count"},
        "",
    ),
    "all reasons in their order": (
        "a 1 HR, p 2 PHR",
        1,
        3,
        {
            "a": "within_keep_count within_days held being_restored",
            "p": "within_days protected held being_restored",
        },
        "",
    ),
    "a flood of new ones does not push out young ones": (
        "a 0.1, b 0.2, c 0.3, good 1, old 9",
        3,
        7,
        dict.fromkeys("abc", "within_keep_count within_days") | {"good": "within_days"},
        "old",
    ),
    "one from the future takes no place": (
        "f -5, a 1, b 2",
        1,
        0,
        {"f": "dated_ahead", "a": "within_keep_count"},
        "b",
    ),
    "where all are from the future, all stay": (
        "f -5, g -4",
        1,
        0,
        dict.fromkeys("fg", "dated_ahead"),
        "",
    ),
}


@pytest.mark.parametrize(
    ("written", "keep_count", "days", "kept", "deleted"), GOLDEN.values(), ids=GOLDEN
)
def test_a_plan_is_the_one_in_the_table(
    written: str, keep_count: int, days: int, kept: dict[str, str], deleted: str
) -> None:
    """Kept newest first with every reason, deleted oldest first."""
    rows = [row.split() for row in written.split(", ") if row]
    backups = [backup(row[0], float(row[1]), *row[2:]) for row in rows]
    found = plan(backups, keep_count, NOW, keep_within_days=days)
    assert list(kept_reasons(found).items()) == list(kept.items())
    assert ids(found.deleted) == deleted.split()
    assert found.spared == ()


@pytest.mark.parametrize("status", ["missing", "deleting", "deleted"])
def test_a_backup_that_is_not_there_is_in_no_list(status: BackupStatus) -> None:
    """It neither counts nor goes, whatever guards it, and saves no source."""
    gone = [backup("gone", 0, status=status), backup("held", 0, "HPR", status=status)]
    found = plan([*gone, backup("a", 1), backup("b", 2)], 1, NOW)
    assert found == plan([backup("a", 1), backup("b", 2)], 1, NOW)


def test_the_last_good_one_of_each_source_is_spared() -> None:
    """New backups of one database do not push out the only ones of another."""
    backups = [
        backup("a", 1),
        backup("b", 2),
        backup("mail-broken", 3, "C", source="mail"),
        backup("mail-new", 4, source="mail"),
        backup("mail-old", 5, source="mail"),
    ]
    found = plan(backups, 1, NOW)
    assert kept_reasons(found) == {"a": "within_keep_count", "mail-new": "last_good"}
    assert found.spared == (backups[3],)
    assert ids(found.deleted) == ["mail-old", "mail-broken", "b"]


@pytest.mark.parametrize("marks", ["P", "H", "R"])
def test_nothing_is_spared_where_a_good_one_stays_anyway(marks: str) -> None:
    """A guarded good backup of the source is enough."""
    backups = [backup("a", 1), backup("m", 3, source="mail"), backup("g", 4, marks, source="mail")]
    found = plan(backups, 1, NOW)
    assert found.spared == ()
    assert ids(found.deleted) == ["m"]


def test_a_corrupt_one_that_stays_does_not_replace_the_last_good_one() -> None:
    """Held for inspection, but nobody can restore it."""
    backups = [
        backup("a", 1),
        backup("held", 2, "CH", source="mail"),
        backup("m", 3, source="mail"),
    ]
    assert ids(plan(backups, 1, NOW).spared) == ["m"]


def test_adopted_files_of_unknown_source_are_not_a_source_of_their_own() -> None:
    """A good backup of any source stays, so old files do not stay for ever beside it."""
    found = plan([backup("a", 1), backup("old", 2, source=None)], 1, NOW)
    assert ids(found.deleted) == ["old"]
    found = plan([backup("new", 1, source=None), backup("m", 2, source="mail")], 1, NOW)
    assert ids(found.spared) == ["m"]


def test_of_two_made_at_the_same_time_the_later_in_the_ledger_is_newer() -> None:
    """Two users' runs may share a second."""
    backups = [backup("b", 1, position=7), backup("a", 1, position=8)]
    assert plan(backups, 1, NOW).kept == (Kept("a", ("within_keep_count",)),)


def test_ages_are_compared_as_instants() -> None:
    """Noon in India is before the morning in London, though its clocks show more."""
    india = datetime.fromisoformat("2025-01-30T12:00:00+05:30")
    backups = [
        backup("india", 0, created_at=india, position=900, stands_at=5),
        backup("utc", 1.1, position=901, stands_at=5),
    ]
    assert ids(plan(backups, 1, NOW).deleted) == ["india"]


def test_order_is_the_ledgers_and_no_clocks() -> None:
    """A clock that was wrong once makes its backup neither older nor newer than it is."""
    backups = [
        backup("first", 1, position=1),
        backup("of 1970", 20_000, position=2),
        backup("last", 2, position=3),
    ]
    assert ids(plan(backups, 2, NOW).deleted) == ["first"]


def test_one_dated_ahead_goes_when_enough_newer_ones_are_counted() -> None:
    """It takes no place, and does not stay for ever either."""
    ahead = backup("ahead", -20, position=1)
    newer = [backup(name, 1, position=number) for number, name in enumerate("ab", 2)]
    assert kept_reasons(plan([ahead, newer[0]], 2, NOW))["ahead"] == "dated_ahead"
    assert ids(plan([ahead, *newer], 2, NOW).deleted) == ["ahead"]


def test_what_the_run_made_stays_whatever_the_others_are_dated() -> None:
    """Adopted files with late mtimes do not push out the backup of the night."""
    made = backup("made", 0, just_made=True, position=9)
    others = [backup(name, 0, position=10 + number) for number, name in enumerate("abc")]
    found = plan([made, *others], 1, NOW)
    assert kept_reasons(found) == {"c": "within_keep_count", "made": "just_made"}
    clock_is_behind = plan([backup("made", -1, just_made=True), others[0]], 1, NOW)
    assert kept_reasons(clock_is_behind)["made"].split()[-1] == "just_made"


def test_an_adopted_file_stands_among_those_of_its_time() -> None:
    """Found last, but made before the others; what was recorded just before it stays older."""
    adopted = backup("adopted", 5, source=None, position=9, stands_at=2)
    made = [backup(str(position), 1, position=position) for position in (1, 2, 3)]
    found = plan([adopted, *made], 2, NOW)
    assert list(kept_reasons(found)) == ["3", "adopted"]
    assert ids(found.deleted) == ["1", "2"]


@pytest.mark.parametrize("keep_count", [0, -1, 31, True, False, 7.0, "7", None])
def test_a_keep_count_that_is_no_integer_from_1_to_30_is_refused(keep_count: Any) -> None:
    """Also when there is nothing to keep."""
    with pytest.raises(InvalidKeepCount, match="use an integer from 1 to 30") as refused:
        plan([], keep_count, NOW)
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize("keep_count", [1, 30])
def test_the_ends_of_the_range_are_allowed(keep_count: int) -> None:
    """1 and 30 keep just as many."""
    found = plan([backup(str(n), n) for n in range(40)], keep_count, NOW)
    assert (len(found.kept), len(found.deleted)) == (keep_count, 40 - keep_count)


def test_negative_days_are_refused_and_a_huge_number_keeps_all() -> None:
    """No overflow for a number that a person typed."""
    with pytest.raises(ValueError, match="keep_within_days is -1"):
        plan([], 1, NOW, keep_within_days=-1)
    assert not plan([backup("a", 1), backup("b", 9)], 1, NOW, keep_within_days=10**30).deleted


def test_naive_times_are_refused() -> None:
    """Both now and the time of a backup."""
    naive = datetime(2025, 1, 1)
    with pytest.raises(ValueError, match="now is"):
        plan([], 1, naive)
    with pytest.raises(ValueError, match="created_at is"):
        plan([backup("a", 1, created_at=naive)], 1, NOW)
