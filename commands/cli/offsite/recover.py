"""backup-ledger offsite recover."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.offsite.add import StoreOption, store_options_in
from commands.cli.offsite.options import IdentityOption, identities_in, require_extra
from commands.cli.options import JsonOption
from commands.cli.session import configured
from commands.reporting.humanize import count
from commands.reporting.terminal import note, progress_bar, say, write_json

if TYPE_CHECKING:
    from commands.offsite.recover import Recovered


def recover(  # noqa: PLR0917  (one option each)
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="The place of the copies.")],
    into: Annotated[Path, typer.Option("--into", metavar="FOLDER", help="A new backups folder.")],
    identity: IdentityOption = None,
    public_key: Annotated[
        str | None,
        typer.Option(
            "--public-key", metavar="VKEY", help="The checkpoint key of the emergency sheet."
        ),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="A checkpoint that was kept elsewhere, which the recovered ledger must continue. "
            "May be repeated; those in checkpoint_folder are used, too.",
        ),
    ] = None,
    option: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recover the ledger on a new machine from off-site copies.

    The ledger is published beside the copies. Once it is recovered, each backup can be fetched:
    backup-ledger --backups FOLDER backup restore NAME --from DESTINATION --identity FILE --to PATH

    \b
    Examples:
      backup-ledger offsite recover file:///mnt/nas/app --identity key.txt --into backups
      backup-ledger offsite recover s3://bucket/app --identity key.txt --into backups \\
        --public-key example.com/app+f798ebc0+AdutJkwCvKwQnKh+5OW3qGPp9g0kWlPhW7+HU+Ug5EFn
    """
    require_extra()
    from commands.audit.sign_checkpoint import kept_notes
    from commands.offsite.recover import recover_ledger

    identities = identities_in(identity)
    kept = kept_notes(checkpoint or (), configured(ctx).checkpoint_folder)
    with progress_bar("recovering") as bar:

        def told(done: int, total: int) -> None:
            if bar is not None:
                bar("records", done, total)

        found = recover_ledger(
            url,
            into.absolute(),
            identities=identities,
            public_key=public_key,
            kept=kept,
            options=store_options_in(option),
            on_progress=told,
        )
    _report(found, as_json=as_json)


def _report(found: Recovered, *, as_json: bool) -> None:
    for each in found.skipped:
        note(f"A larger checkpoint was not used: {each}")
    if not found.signed:
        note(
            "Unsigned: anyone who can write there may have forged it. Give --public-key, from the "
            "emergency sheet, to be sure."
        )
    if as_json:
        write_json(
            {
                "ledger_id": found.ledger_id,
                "size": found.size,
                "root": found.root,
                "signed": found.signed,
                "folder": found.folder,
                "destinations": found.destinations,
            }
        )
        return
    say(f"{count(found.size, 'record')} recovered into {found.folder}", style="green")
    say(f"Root {found.root}")
    names = ", ".join(found.destinations) or "none"
    say(f"Destinations, which are only read until they are attached: {names}")
    say(f"Next: backup-ledger --backups {found.folder} offsite list")
