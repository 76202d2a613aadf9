"""backup-ledger ledger publish."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.cli.offsite.add import StoreOption, store_options_in
from commands.cli.offsite.options import require_extra
from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.reporting.humanize import count
from commands.reporting.terminal import note, say, write_json


def publish(
    ctx: typer.Context,
    place: Annotated[
        str, typer.Argument(metavar="PLACE", help="A folder, or s3://bucket/prefix, gs://, az://.")
    ],
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="The key that signs [default: checkpoint_key]."),
    ] = None,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Encrypt the records to each --recipient.")
    ] = False,
    recipient: Annotated[
        list[str] | None,
        typer.Option("--recipient", metavar="age1...", help="With --sealed: who can read records."),
    ] = None,
    option: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish the ledger, for others to check.

    Writes C2SP tlog-tiles: a signed checkpoint, hash tiles, and the records. Repeated, it adds what
    is new. Anyone with access to the place can read every record. With --sealed only those who have
    a key can; all others can still check that nothing was rewritten.

    \b
    Examples:
      backup-ledger ledger publish /srv/www/ledger --key checkpoint.key
      backup-ledger ledger publish s3://bucket/ledger --sealed --recipient age1...
    """
    require_extra()
    if sealed != bool(recipient):
        raise typer.BadParameter("--sealed and --recipient go together", param_hint="--sealed")
    from commands.offsite.log.plain import publish_log

    with opened(ctx, "act") as session:
        size = publish_log(
            session.site,
            place,
            key=key,
            recipients=recipient or (),
            options=store_options_in(option),
        )
    if as_json:
        write_json({"place": place, "size": size, "sealed": sealed})
        return
    say(f"{count(size, 'record')} published at {place}")
    if not sealed:
        note("Anyone with access to the place can read the records.")
