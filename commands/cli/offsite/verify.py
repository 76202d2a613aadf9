"""backup-ledger offsite verify."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.errors import FOUND_SOMETHING
from commands.cli.offsite.options import IdentityOption, ToOption, identities_in, require_extra
from commands.cli.options import JsonOption, parse_part
from commands.cli.session import opened
from commands.reporting.humanize import count
from commands.reporting.terminal import progress_bar, say, write_json

if TYPE_CHECKING:
    from commands.offsite.verify import CheckedCopy


class OffsiteLevel(StrEnum):
    """How closely to look."""

    LISTED = "listed"
    DIGEST = "digest"
    INTEGRITY = "integrity"
    DRILL = "drill"


def verify(
    ctx: typer.Context,
    to: ToOption = None,
    level: Annotated[
        OffsiteLevel,
        typer.Option(
            help="listed: every object is there; digest: read whole, SHA-256; integrity: fetched, "
            "opened, integrity_check; drill: tables and rows counted, too. The last two need "
            "--identity."
        ),
    ] = OffsiteLevel.LISTED,
    identity: IdentityOption = None,
    part: Annotated[
        str | None,
        typer.Option(metavar="N/T", help="The Nth of T parts; T runs cover everything."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check what is off-site; exit code 3 where something is damaged.

    \b
    Examples:
      backup-ledger offsite verify
      backup-ledger offsite verify --level digest --part 1/7
      backup-ledger offsite verify --level drill --identity key.txt
    """
    require_extra()
    from commands.offsite.destinations import chosen_destinations
    from commands.offsite.verify import verify_copies

    chosen = parse_part(part)
    identities = identities_in(identity)
    checked: list[CheckedCopy] = []
    with opened(ctx, "act") as session, progress_bar("verifying") as bar:

        def told(done: int, total: int) -> None:
            if bar is not None:
                bar(level.value, done, total)

        for destination in chosen_destinations(session.site, to):
            checked += verify_copies(
                session.site,
                session.context,
                destination,
                level.value,
                identities=identities,
                part=chosen,
                on_progress=told,
            )
    if as_json:
        write_json([_checked_json(each) for each in checked])
    else:
        _say(checked, level)
    if any(each.problem for each in checked):
        raise typer.Exit(FOUND_SOMETHING)


def _checked_json(checked: CheckedCopy) -> dict[str, Any]:
    return {
        "destination": checked.destination.name,
        "copy_id": checked.copy.copy_id,
        "filename": checked.copy.filename,
        "level": checked.level,
        "ok": checked.problem is None,
        "problem": checked.problem,
    }


def _say(checked: list[CheckedCopy], level: OffsiteLevel) -> None:
    bad = [each for each in checked if each.problem]
    for each in bad:
        say(f"{each.copy.filename} at {each.destination.name}: {each.problem}", style="red")
    good = len(checked) - len(bad)
    say(f"{count(good, 'copy', 'copies')} good at level {level.value}, {len(bad)} damaged")
