"""backup-ledger offsite repair, adopt, reindex."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from commands.cli.errors import FOUND_SOMETHING
from commands.cli.offsite.options import IdentityOption, ToOption, identities_in, require_extra
from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.reporting.humanize import count, size
from commands.reporting.terminal import note, progress_bar, say, write_json

if TYPE_CHECKING:
    from commands.offsite.upkeep.adopt import Adopted
    from commands.offsite.upkeep.reindex import Reindexed
    from commands.offsite.upkeep.repair import Repaired
    from projections.folds.offsite_destination import Destination


def repair(ctx: typer.Context, to: ToOption = None, as_json: JsonOption = False) -> None:
    """Replace damaged off-site copies.

    Each backup whose file is still good is copied again; then the damaged copy is deleted. Copies
    that cannot be replaced are listed, and the exit code is 3.

    \b
    Examples:
      backup-ledger offsite repair
      backup-ledger offsite repair --to nas
    """
    require_extra()
    from commands.offsite.destinations import chosen_destinations
    from commands.offsite.publish import publish_if_behind
    from commands.offsite.upkeep.repair import repair_copies

    done: list[tuple[Destination, Repaired]] = []
    with opened(ctx, "act") as session, progress_bar("copying", in_bytes=True) as bar:
        for destination in chosen_destinations(session.site, to):
            if to is None and not destination.is_attached:
                continue
            found = repair_copies(session.site, session.context, destination, bar)
            done += [(destination, each) for each in found]
            if found:
                publish_if_behind(session.site, destination)
    if as_json:
        write_json(
            [
                {
                    "destination": destination.name,
                    "copy_id": each.corrupt.copy_id,
                    "filename": each.corrupt.filename,
                    "repaired_by": None if each.made is None else each.made.copy_id,
                    "reason": each.reason,
                }
                for destination, each in done
            ]
        )
    else:
        _say_repaired(done)
    if any(each.made is None for _, each in done):
        raise typer.Exit(FOUND_SOMETHING)


def _say_repaired(done: list[tuple[Destination, Repaired]]) -> None:
    for destination, each in done:
        if each.made is None:
            say(
                f"{each.corrupt.filename} at {destination.name} stays damaged: {each.reason}",
                style="red",
            )
        else:
            say(f"{each.corrupt.filename} at {destination.name} has a good copy again")
    if not done:
        say("No damaged copy is known; see: backup-ledger offsite verify --level digest")


def adopt(
    ctx: typer.Context,
    to: ToOption = None,
    identity: IdentityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record copies that this ledger does not know.

    A ledger that is older than a destination finds copies there that it does not know, and deletes
    nothing until they are adopted. Reading them needs a key.

    \b
    Examples:
      backup-ledger offsite adopt --identity key.txt
    """
    require_extra()
    from commands.offsite.destinations import chosen_destinations
    from commands.offsite.upkeep.adopt import adopt_copies

    identities = identities_in(identity)
    done: list[tuple[Destination, Adopted]] = []
    with opened(ctx, "act") as session:
        for destination in chosen_destinations(session.site, to):
            if to is None and not destination.is_attached:
                continue
            found = adopt_copies(session.site, session.context, destination, identities)
            done += [(destination, each) for each in found]
    if as_json:
        write_json(
            [
                {
                    "destination": destination.name,
                    "copy_id": each.copy_id,
                    "filename": each.filename or None,
                    "problem": each.problem,
                }
                for destination, each in done
            ]
        )
    else:
        for destination, each in done:
            name = each.filename or each.copy_id
            if each.problem is None:
                say(f"{name} at {destination.name} adopted")
            else:
                say(f"{name} at {destination.name}: {each.problem}", style="red")
        if not done:
            say("Every copy there is known.")
    if any(each.problem for _, each in done):
        raise typer.Exit(FOUND_SOMETHING)


def reindex(
    ctx: typer.Context,
    to: ToOption = None,
    identity: IdentityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rebuild the list of known pages.

    Without the list, the next copy of each database is sent whole. Rebuilding it reads every pack
    there, with a key.

    \b
    Examples:
      backup-ledger offsite reindex --to nas --identity key.txt
    """
    require_extra()
    from commands.offsite.destinations import chosen_destinations
    from commands.offsite.upkeep.reindex import reindex as reindex_at

    identities = identities_in(identity)
    done: list[tuple[Destination, Reindexed]] = []
    with opened(ctx, "act") as session, progress_bar("reading") as bar:

        def told(finished: int, total: int) -> None:
            if bar is not None:
                bar("copies", finished, total)

        done += [
            (destination, reindex_at(session.site, destination, identities, told))
            for destination in chosen_destinations(session.site, to)
        ]
    if as_json:
        write_json(
            [
                {
                    "destination": destination.name,
                    "packs": each.packs,
                    "received_bytes": each.received_bytes,
                    "problems": each.problems,
                }
                for destination, each in done
            ]
        )
    else:
        for destination, each in done:
            packs, received = count(each.packs, "pack"), size(each.received_bytes)
            say(f"{destination.name}: {packs} more in the index, {received} read")
            for problem in each.problems:
                note(problem, style="red")
    if any(each.problems for _, each in done):
        raise typer.Exit(FOUND_SOMETHING)
