"""backup-ledger offsite estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from commands.cli.offsite.options import require_extra
from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import note, progress_bar, say, write_json

if TYPE_CHECKING:
    from commands.offsite.watching.estimate import Estimate


def estimate(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Estimate what a destination would hold after a month.

    Reads the local backups, sends nothing, and shows the size of whole copies for comparison.

    \b
    Examples:
      backup-ledger offsite estimate
      backup-ledger offsite estimate --json
    """
    require_extra()
    from commands.offsite.watching.estimate import estimate_month

    with opened(ctx, "read") as session, progress_bar("reading") as bar:
        session.site.catch_up()
        found = [each for each in estimate_month(session.site, bar) if each.backups]
    if as_json:
        write_json([_json(each) for each in found])
        return
    if not found:
        say("There is no good backup to estimate from; see: backup-ledger backup create --help")
    for each in found:
        _show(each)


def _json(found: Estimate) -> dict[str, Any]:
    return {
        "source": found.source,
        "backups": found.backups,
        "first_copy_bytes": found.first,
        "per_day_bytes": found.per_day,
        "month_bytes": found.month,
        "month_whole_bytes": found.month_whole,
    }


def _show(found: Estimate) -> None:
    say(f"By {count(found.backups, 'backup')} of one database, with a copy each day:")
    say(f"  first copy    {moments.size(found.first)}")
    if found.per_day is None:
        note("One backup says nothing about changes; estimate again when there are more.")
    else:
        say(f"  each day      {moments.size(found.per_day)}")
    whole = moments.size(found.month_whole)
    say(f"  after 30 days {moments.size(found.month)}; whole copies, compressed: {whole}")
