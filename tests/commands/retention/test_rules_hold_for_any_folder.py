"""What the rules promise of any folder: who stays, who goes, and that there is an end."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.retention.rules import Candidate, plan
from tests.commands.retention.test_rules import NOW, ids


@st.composite
def folders(draw: st.DrawFn) -> list[Candidate]:
    """Up to fourteen backups of three sources, few distinct times, in any order."""
    candidate = st.builds(
        Candidate,
        backup_id=st.just(""),
        filename=st.just(""),
        created_at=st.integers(-2, 12).map(lambda days: NOW - timedelta(days=days)),
        status=st.sampled_from(["ok", "ok", "ok", "corrupt", "missing", "deleting", "deleted"]),
        is_protected=st.sampled_from([False, False, True]),
        held=st.sampled_from([False, False, False, True]),
        being_restored=st.sampled_from([False, False, False, False, True]),
        just_made=st.sampled_from([False, False, False, False, True]),
        source=st.sampled_from(["justice", "mail", None]),
        position=st.integers(4, 6),
        local_day=st.sampled_from(["2025-01-01", "2025-01-02"]),
        stands_at=st.integers(1, 6),
        owner=st.sampled_from([None, 1]),
        is_flawed=st.sampled_from([False, False, False, True]),
        is_before_collapse=st.sampled_from([False, False, True]),
    )
    drawn = draw(st.lists(candidate, max_size=14))
    return [
        replace(
            each,
            backup_id=f"b{number}",
            filename=f"b{number}.db",
            stands_at=min(each.stands_at, each.position),
        )
        for number, each in enumerate(drawn)
    ]


keep_counts = st.integers(1, 6)


days_within = st.integers(0, 8)


@pytest.mark.slow
@settings(deadline=None)
@given(folders(), keep_counts, days_within)
def test_every_backup_that_is_there_is_kept_with_a_reason_or_deleted(
    backups: list[Candidate], keep_count: int, days: int
) -> None:
    """Exactly one of the two, in order of age."""
    found = plan(backups, keep_count, NOW, keep_within_days=days)
    there = {each.backup_id: each for each in backups if each.status in {"ok", "corrupt"}}
    assert sorted([kept.backup_id for kept in found.kept] + ids(found.deleted)) == sorted(there)
    assert all(kept.reasons for kept in found.kept)
    places = [there[kept.backup_id].stands_at for kept in found.kept]
    assert places == sorted(places, reverse=True)
    deleted_places = [each.stands_at for each in found.deleted]
    assert deleted_places == sorted(deleted_places)


@pytest.mark.slow
@settings(deadline=None)
@given(folders(), keep_counts, days_within)
def test_a_guarded_backup_is_never_deleted(
    backups: list[Candidate], keep_count: int, days: int
) -> None:
    """Protected, held, being restored, just made, young: each alone is enough."""
    for each in plan(backups, keep_count, NOW, keep_within_days=days).deleted:
        assert not any((each.is_protected, each.held, each.being_restored, each.just_made))
        assert each.created_at <= NOW - timedelta(days=days) or days == 0


@pytest.mark.slow
@settings(deadline=None)
@given(folders(), keep_counts, days_within)
def test_every_source_that_has_a_good_backup_still_has_one_afterwards(
    backups: list[Candidate], keep_count: int, days: int
) -> None:
    """And if there is any good one at all, of known source or not, one is left."""
    found = plan(backups, keep_count, NOW, keep_within_days=days)
    good = [each for each in backups if each.status == "ok"]
    left = [each for each in good if each not in found.deleted]
    assert {each.source for each in good} - {None} <= {each.source for each in left}
    assert bool(left) == bool(good)


@pytest.mark.slow
@settings(deadline=None)
@given(folders(), keep_counts, days_within)
def test_the_newest_good_ones_are_kept_before_older_ones(
    backups: list[Candidate], keep_count: int, days: int
) -> None:
    """As many as asked for, and none deleted that is newer than one of them."""
    found = plan(backups, keep_count, NOW, keep_within_days=days)
    regular = [
        each
        for each in backups
        if each.is_good and not each.is_protected
        if each.just_made or each.created_at <= NOW
    ]
    counted = {kept.backup_id for kept in found.kept if "within_keep_count" in kept.reasons}
    assert len(counted) == min(keep_count, len(regular))
    for each in regular:
        if each.backup_id in counted:
            deleted = [other for other in found.deleted if not other.is_flawed]
            assert all(other.stands_at <= each.stands_at for other in deleted)


@pytest.mark.slow
@settings(deadline=None)
@given(folders(), keep_counts, days_within)
def test_a_greater_keep_count_deletes_nothing_more(
    backups: list[Candidate], keep_count: int, days: int
) -> None:
    """The same for more days."""
    deleted = set(ids(plan(backups, keep_count, NOW, keep_within_days=days).deleted))
    more = plan(backups, keep_count + 1, NOW, keep_within_days=days)
    longer = plan(backups, keep_count, NOW, keep_within_days=days + 1)
    assert set(ids(more.deleted)) <= deleted
    assert set(ids(longer.deleted)) <= deleted


@pytest.mark.slow
@settings(deadline=None)
@given(folders(), keep_counts, days_within)
def test_a_plan_carried_out_leaves_nothing_to_delete(
    backups: list[Candidate], keep_count: int, days: int
) -> None:
    """Applied twice is applied once; and after half of it, the other half is the same."""
    found = plan(backups, keep_count, NOW, keep_within_days=days)
    left = [each for each in backups if each not in found.deleted]
    again = plan(left, keep_count, NOW, keep_within_days=days)
    assert again == replace(found, deleted=())
    half = found.deleted[: len(found.deleted) // 2]
    rest = plan(
        [each for each in backups if each not in half], keep_count, NOW, keep_within_days=days
    )
    assert rest == replace(found, deleted=found.deleted[len(half) :])


@pytest.mark.slow
@settings(deadline=None)
@given(
    folders().flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))), keep_counts
)
def test_the_order_in_which_backups_are_given_does_not_matter(
    pair: tuple[list[Candidate], list[Candidate]], keep_count: int
) -> None:
    """Neither does any time or position they share."""
    assert plan(pair[0], keep_count, NOW) == plan(pair[1], keep_count, NOW)
