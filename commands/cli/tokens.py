"""backup-ledger tokens: manage API tokens."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.errors import EXIT_CODES, GlobalOptions
from commands.cli.options import JsonOption, parse_moment, parse_user_id
from commands.cli.session import opened
from commands.cli.sites import for_each_site, several_sites
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import add_row, new_table, note, say, show_table, write_json

if TYPE_CHECKING:
    from commands.upkeep.tokens import Token

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)


@app.command(epilog=EXIT_CODES)
def create(
    ctx: typer.Context,
    role: Annotated[str, typer.Option(help="user, operator or auditor.")],
    user: Annotated[
        int | None,
        typer.Option("--user", metavar="N", parser=parse_user_id, help="The user, for role user."),
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(
            "--expires", metavar="TIME", parser=parse_moment, help=f"{moments.MOMENT_HELP}."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a token, and print it once; only its hash is kept.

    The last line is the token. `serve` refuses requests without one.

    \b
    Examples:
      backup-ledger tokens create --role operator
      backup-ledger tokens create --role user --user 1 --expires 2026-12-31
    """
    from commands.upkeep.tokens import create_token

    options: GlobalOptions = ctx.obj
    names, text = list(several_sites(ctx)), None
    wanted: list[str | None] = [*names] or [options.site]
    for name in wanted:  # one token, which every site accepts
        options.site = name
        with opened(ctx, "act") as session:
            now = session.context.now
            text, token = create_token(session.site, session.context, role, user, expires, text)
    assert text is not None
    if as_json:
        write_json(_shape(token, now) | {"token": text})
        return
    end = f"until {moments.exact(expires)} UTC" if expires else "until it is revoked"
    whose = f"{role}, user {user}" if user is not None else role
    where = f" at {count(len(names), 'site')}" if len(names) > 1 else ""
    note(f"Token {token.token_id} ({whose}){where}, good {end}. It is shown only now:")
    say(text)


@app.command("list", epilog=EXIT_CODES)
@for_each_site
def list_tokens(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List all tokens, without their secrets.

    \b
    Example:
      backup-ledger tokens list
    """
    from commands.upkeep.tokens import TokenBook

    with opened(ctx, "read") as session:
        found, now = TokenBook(session.site.ledger).all(), session.context.now
        if as_json:
            write_json([_shape(each, now) for each in found])
        elif not found:
            say("No token was made yet; make one: backup-ledger tokens create --role operator")
        else:
            _show(found, now)


@app.command(epilog=EXIT_CODES)
@for_each_site
def revoke(
    ctx: typer.Context,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `tokens list` shows it.")],
    as_json: JsonOption = False,
) -> None:
    """Revoke a token at once.

    \b
    Example:
      backup-ledger tokens revoke 1b4e28ba-2fa1-81d2-883f-0016d3cca427
    """
    from commands.upkeep.tokens import revoke_token

    with opened(ctx, "act") as session:
        token = revoke_token(session.site, session.context, token_id)
        if as_json:
            write_json(_shape(token, session.context.now))
        else:
            say(f"Revoked {token_id}")


def _shape(token: Token, now: datetime) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "role": token.role,
        "user": token.user,
        "expires": token.expires,
        "created_at": token.created_at,
        "created_by": token.created_by,
        "revoked_at": token.revoked_at,
        "is_valid": token.is_valid(now),
    }


def _show(found: list[Token], now: datetime) -> None:
    table = new_table("Id", "Role", "Made (UTC)", "State")
    for each in found:
        whose = each.role if each.user is None else f"{each.role} {each.user}"
        made = (moments.minute(each.created_at), f"by {each.created_by}")
        add_row(table, each.token_id, whose, made, _state(each, now))
    show_table(table)


def _state(token: Token, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if not token.is_valid(now):
        return "expired"
    return f"until {moments.minute(token.expires)}" if token.expires else "good"
