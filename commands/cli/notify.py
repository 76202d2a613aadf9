"""backup-ledger notify: try whether messages arrive, and see what would be told."""

from __future__ import annotations

import typer

from commands.cli.errors import EXIT_CODES, FAILED
from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.reporting.humanize import count
from commands.reporting.terminal import note, say, tell, write_json

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)


@app.callback()
def notify() -> None:
    """Tell people when something went wrong.

    The scheduler does that by itself, to the addresses in `notify_urls`.
    """


@app.command("test", epilog=EXIT_CODES)
def send_test(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Send a test message to every target.

    The exit code is 1 if a target did not accept it. The message is recorded either way.

    \b
    Example:
      backup-ledger notify test
    """
    from commands.notifications.notifier import Notifier

    with opened(ctx, "act") as session:
        notifier = Notifier(session.site)
        failed = notifier.test()
        targets = len(session.site.configuration.notify_urls)
        if as_json:
            write_json({"targets": targets, "failed": failed})
        else:
            say(f"{count(targets - len(failed), 'target')} of {targets} accepted the message.")
            for name, problem in failed.items():
                note(f"{name} did not: {problem}", style="red")
    if failed:
        raise typer.Exit(FAILED)


@app.command(epilog=EXIT_CODES)
def preview(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show what would be sent now; nothing is sent or recorded.

    \b
    Example:
      backup-ledger notify preview
    """
    from commands.notifications.notifier import Notifier

    with opened(ctx, "read") as session:
        message = Notifier(session.site).preview()
        if as_json:
            write_json(None if message is None else {"title": message.title, "body": message.body})
        elif message is None:
            say("There is nothing to send.")
        else:
            say(message.title, style="bold")
            for line in message.body.splitlines():
                tell(line) if line else say()
