"""backup-ledger offsite verify."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from commands.cli.errors import FOUND_SOMETHING
from commands.cli.offsite.options import IdentityOption, ToOption, identities_in, require_extra
from commands.cli.options import JsonOption, parse_part
from commands.cli.session import opened
from commands.reporting.humanize import count
from commands.reporting.terminal import progress_bar, say, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.cli.session import Session
    from commands.offsite.verify import CheckedCopy
    from commands.sqlite.files import Progress
    from ledger.vocabulary import CopyLevel
    from projections.folds.offsite_destination import Destination


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
    due: Annotated[
        bool,
        typer.Option(
            "--due", help="Only what is due, each copy at its level, as the scheduler does."
        ),
    ] = False,
    part: Annotated[
        str | None,
        typer.Option(metavar="N/T", help="The Nth of T parts; T runs cover everything."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check what is off-site.

    The exit code is 3 if something is damaged, or if no given key opens a copy.

    \b
    Examples:
      backup-ledger offsite verify
      backup-ledger offsite verify --level digest --part 1/7
      backup-ledger offsite verify --level drill --identity key.txt
      backup-ledger offsite verify --due
    """
    require_extra()
    from commands.offsite.destinations import chosen_destinations
    from commands.shapes.offsite import CheckedCopyShape

    wanted = _Wanted(None if due else level.value, parse_part(part), identities_in(identity))
    checked: list[CheckedCopy] = []
    with opened(ctx, "act") as session, progress_bar("verifying") as bar:
        for destination in chosen_destinations(session.site, to):
            checked += _checks(session, destination, wanted, bar)
    if as_json:
        write_json([CheckedCopyShape.of(each) for each in checked])
    else:
        _say(checked, "what was due" if due else f"level {level.value}")
    if any(each.problem for each in checked):
        raise typer.Exit(FOUND_SOMETHING)


class _Wanted(NamedTuple):
    """What a person asked for. `level`: None for what is due, each copy at its own."""

    level: CopyLevel | None
    part: tuple[int, int]
    identities: list[str]


def _checks(
    session: Session, destination: Destination, wanted: _Wanted, bar: Progress | None
) -> Iterator[CheckedCopy]:
    from commands.offsite.keys import configured_identities
    from commands.offsite.verify import verify_copies
    from commands.offsite.watching.verify_due import verify_due

    def told(done: int, total: int) -> None:
        if bar is not None:
            bar(wanted.level or "due", done, total)

    site, context = session.site, session.context
    if wanted.level is None:
        keys = wanted.identities or configured_identities(site)
        yield from verify_due(
            site, context, destination, identities=keys, part=wanted.part, on_progress=told
        )
    else:
        yield from verify_copies(
            site,
            context,
            destination,
            wanted.level,
            identities=wanted.identities,
            part=wanted.part,
            on_progress=told,
        )


def _say(checked: list[CheckedCopy], what: str) -> None:
    bad = [each for each in checked if each.problem]
    for each in bad:
        say(f"{each.copy.filename} at {each.destination.name}: {each.problem}", style="red")
    good, unopened = len(checked) - len(bad), sum(each.unopened for each in bad)
    text = f"{count(good, 'copy', 'copies')} good ({what}), {len(bad) - unopened} damaged"
    say(f"{text}, {unopened} not looked at" if unopened else text)
