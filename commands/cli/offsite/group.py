"""backup-ledger offsite: the menu."""

from __future__ import annotations

import typer

from commands.cli.errors import EXIT_CODES
from commands.cli.offsite.add import add, keygen
from commands.cli.offsite.change import attach, remove, set_
from commands.cli.offsite.collect import collect
from commands.cli.offsite.copy import copy
from commands.cli.offsite.estimate import estimate
from commands.cli.offsite.recipients import recipients
from commands.cli.offsite.recover import recover
from commands.cli.offsite.show import list_, show, status
from commands.cli.offsite.upkeep import adopt, reindex, repair
from commands.cli.offsite.verify import verify
from commands.cli.sites import for_each_site

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)
app.command("keygen", epilog=EXIT_CODES)(keygen)
app.command("add", epilog=EXIT_CODES)(add)
app.command("list", epilog=EXIT_CODES)(for_each_site(list_))
app.command("show", epilog=EXIT_CODES)(show)
app.command("set", epilog=EXIT_CODES)(set_)
app.command("remove", epilog=EXIT_CODES)(remove)
app.command("attach", epilog=EXIT_CODES)(attach)
app.command("recipients", epilog=EXIT_CODES)(recipients)
app.command("copy", epilog=EXIT_CODES)(for_each_site(copy))
app.command("status", epilog=EXIT_CODES)(for_each_site(status))
app.command("verify", epilog=EXIT_CODES)(for_each_site(verify))
app.command("collect", epilog=EXIT_CODES)(for_each_site(collect))
app.command("repair", epilog=EXIT_CODES)(for_each_site(repair))
app.command("adopt", epilog=EXIT_CODES)(for_each_site(adopt))
app.command("reindex", epilog=EXIT_CODES)(for_each_site(reindex))
app.command("estimate", epilog=EXIT_CODES)(for_each_site(estimate))
app.command("recover", epilog=EXIT_CODES)(recover)
