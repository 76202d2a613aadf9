"""Data is lost, and restored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.demo.sample_database import count_rows, work
from commands.restore.restore import restore_backup
from commands.site import actors
from projections.queries.catalog import backups_of_store

if TYPE_CHECKING:
    from commands.demo.narrator import Narrator
    from commands.demo.office import Office


def lose_and_restore(office: Office, tell: Narrator) -> None:
    """A DELETE without WHERE, and its restore."""
    tell.chapter("A disaster and its restore")
    with office.site.read_models.reading() as connection:
        newest = backups_of_store(connection, office.site.store.store_id)[0]
    since = work(office.application, office.clock.now(), office.random, share=0.5)
    before = count_rows(office.application)
    with office.application as connection:
        connection.execute("DELETE FROM cases")
    lost = count_rows(office.application)
    tell.bad(
        f"At {office.clock.now():%d %b %H:%M} UTC a script that should delete one case lacks "
        f"the WHERE: {sum(before.values()) - sum(lost.values()):,} rows are gone."
    )
    outcome = restore_backup(office.site, office.site.context(actors.operator()), newest.filename)
    after = count_rows(office.application)
    tell.say(f"backup restore {newest.filename} verifies its SHA-256 and restores it:")
    tell.table(
        ["rows in", "before", "after the script", "restored"],
        [[table, *(f"{each[table]:,}" for each in (before, lost, after))] for table in before],
        right=["before", "after the script", "restored"],
    )
    missing = sum(before.values()) - sum(after.values())
    assert outcome.pre_restore is not None
    tell.good(
        "It was one transaction, and the application stayed connected. What the database held "
        f"just before is kept in a protected backup: {outcome.pre_restore.filename}"
    )
    tell.say(
        f"The {since} rows of that morning were added after the backup, so {missing} rows are "
        "missing now. A backup restores the state at the time when it was made."
    )
