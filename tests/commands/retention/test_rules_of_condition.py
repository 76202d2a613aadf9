"""Flawed backups, and those from before a collapse, stay beside the counted ones."""

from __future__ import annotations

from commands.retention.rules import plan
from tests.commands.retention.test_rules import NOW, backup, ids, kept_reasons


def test_flawed_ones_stay_beside_the_good_ones() -> None:
    """The newest keep_count of each; none of one kind is the reason for deleting the other."""
    backups = [backup(f"g{age}", age) for age in (4, 5, 6)]
    backups += [backup(f"f{age}", age, is_flawed=True) for age in (0, 1, 2)]
    found = plan(backups, 2, NOW)
    assert kept_reasons(found) == {
        "f0": "flawed_within_count",
        "f1": "flawed_within_count",
        "g4": "within_keep_count",
        "g5": "within_keep_count",
    }
    assert ids(found.deleted) == ["g6", "f2"]


def test_a_flawed_one_is_not_the_last_good_one() -> None:
    """However new: the last sound one of its source stays as well."""
    found = plan([backup("flawed", 0, is_flawed=True), backup("old", 30, "C")], 1, NOW)
    assert found.spared == ()
    other = [backup("mail", 9, source="mail"), backup("new", 1)]
    found = plan([*other, backup("flawed", 0, is_flawed=True, source="mail")], 1, NOW)
    assert kept_reasons(found)["mail"] == "last_good"


def test_each_owner_keeps_the_newest_from_before_a_collapse() -> None:
    """A good one; beside the counted ones, which are all from after it."""
    backups = [backup(f"new{age}", age) for age in (0, 1, 2)]
    backups += [
        backup("bad", 3, "C", is_before_collapse=True),
        backup("ann", 4, is_before_collapse=True),
        backup("ann2", 5, is_before_collapse=True),
        backup("bob", 6, is_before_collapse=True, owner=2),
    ]
    found = plan(backups, 3, NOW)
    assert kept_reasons(found)["ann"] == kept_reasons(found)["bob"] == "before_collapse"
    assert ids(found.deleted) == ["ann2", "bad"]
