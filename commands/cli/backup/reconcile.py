"""backup-ledger backup reconcile."""

from __future__ import annotations

import typer

from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.reporting.terminal import say, show_facts, write_json


def reconcile(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Bring the catalog in line with the folder.

    Adopts unknown files and reports missing ones. Also finishes what a killed process left:
    backups, deletions and restores.

    \b
    Example:
      backup-ledger backup reconcile
    """
    with opened(ctx, "act", adopt=True) as session:
        found = session.found
        assert found is not None
        parts = {
            "adopted": found.adopted,
            "missing": found.missing,
            "back": found.back,
            "left_alone": found.left_alone,
            "published": found.recovered.published,
            "discarded": found.recovered.discarded,
            "deleted": found.recovered.deleted,
            "restores": found.recovered.restores,
        }
        if as_json:
            write_json(parts)
        elif not any(parts.values()):
            if not ctx.obj.quiet:
                say("Catalog and folder agree; nothing to do.")
        else:
            show_facts(
                (name.replace("_", " "), ", ".join(each)) for name, each in parts.items() if each
            )
