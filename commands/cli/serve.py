"""backup-ledger serve: the same commands over HTTP."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.options import LogFormatOption
from commands.cli.session import log_work, opened
from commands.cli.sites import several_sites
from commands.reporting.humanize import count
from commands.reporting.terminal import note, say

if TYPE_CHECKING:
    from commands.cli.session import Session
    from commands.site.configuration import Configuration
    from commands.site.site import Site


def serve(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port; 0 for any free one.")
    ] = 8080,
    prefix: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The prefix of every route [default: /database]."),
    ] = None,
    with_scheduler: Annotated[
        bool, typer.Option("--with-scheduler", help="Also run the scheduler, as `run` does.")
    ] = False,
    log_format: LogFormatOption = None,
) -> None:
    """Serve the HTTP API and console. Needs the extra: backup-ledger[http].

    Every request needs a token. The first start creates one for an operator and prints it once, on
    stderr; create others with `tokens create`. If the settings have several [sites], each is at
    /sites/NAME, and /console shows all of them.

    \b
    Examples:
      backup-ledger serve
      backup-ledger tokens create --role operator
      backup-ledger serve --host 0.0.0.0 --port 8080 --with-scheduler
    """
    require_extra()
    if len(several_sites(ctx)) > 1:
        _serve_sites(ctx, host, port, prefix, log_format, with_scheduler=with_scheduler)
        return
    from commands.http import server as http
    from commands.http.served_site import ServedSite

    ctx.obj.log_format = log_format
    with opened(ctx, "act") as session, ExitStack() as beside:
        site = session.site
        chosen = checked_prefix(site.configuration.http_prefix if prefix is None else prefix)
        in_json = log_work(session, logging.INFO if with_scheduler else logging.WARNING)
        served = ServedSite(site, metrics_open=site.configuration.metrics_open)
        server = http.make_server(served, host=host, port=port, prefix=chosen)
        listening = http.listen(server)
        beside.callback(listening.close)
        if with_scheduler:
            served.scheduler_runs = beside.enter_context(http.scheduler_beside(site, server))
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}"
        say(f"Backup Ledger is at {address}{chosen}")
        say(f"and for people at   {address}/console")
        _describe_access(session)
        if in_json:
            http.run(server, listening)
            return
        note("Ctrl-C stops.", style="dim")
        http.run(server, listening)
        note("Stopped.", style="dim")


def _serve_sites(
    ctx: typer.Context,
    host: str,
    port: int,
    prefix: str | None,
    log_format: str | None,
    *,
    with_scheduler: bool,
) -> None:
    """Serve every site; one that cannot be opened is tried again, and disturbs no other."""
    from commands.cli.session import show_log, whole_configuration
    from commands.http import server as http
    from commands.http.sites.application import create_sites_app
    from commands.http.sites.served_sites import ServedSites
    from ledger.clock import SystemClock

    ctx.obj.log_format = log_format
    whole, configurations = whole_configuration(ctx), several_sites(ctx)
    show_log(logging.INFO if with_scheduler else logging.WARNING, whole.log_format)
    chosen = checked_prefix(whole.http_prefix if prefix is None else prefix)
    openings = {name: partial(_open, each) for name, each in configurations.items()}
    sites = ServedSites(
        openings, clock=SystemClock(), prefix=chosen, metrics_open=whole.metrics_open
    )
    app = create_sites_app(
        sites,
        hosts=whole.http_hosts,
        trusted_proxies=whole.http_trusted_proxies,
        access_log=whole.http_access_log,
    )
    server = http.server_of(app, sites.stopping, host=host, port=port)
    with ExitStack() as beside:
        listening = http.listen(server)
        beside.callback(listening.close)
        beside.callback(sites.close)
        served = sites.served()
        sites.look_ahead()
        if with_scheduler:
            retry_seconds = whole.check_interval_seconds
            beside.enter_context(
                http.schedulers_beside(sites, turns=whole.max_running, retry_seconds=retry_seconds)
            )
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}"
        say(f"{count(len(openings), 'site')} at {address}/sites/NAME{chosen}")
        say(f"and for people at {address}/console")
        _describe_first_token([each.site for each in served.values()])
        http.run(server, listening)


def _describe_first_token(sites: list[Site]) -> None:
    """Make and show one token for all sites, where none of them ever had one."""
    from commands.site.actors import operator
    from commands.upkeep.tokens import TokenBook, create_token

    if any(TokenBook(each.ledger).all() for each in sites):
        return
    text: str | None = None
    for each in sites:
        text, _token = create_token(each, each.context(operator()), "operator", text=text)
    if text is not None:
        note("No token was made before. This one is for an operator; it is shown only now:")
        note(text, style=None)


def _open(configuration: Configuration) -> Site:
    from commands.recovery.recover import recover
    from commands.site.actors import operator
    from commands.site.opening import open_site
    from commands.site.ownership import require_own_folders

    require_own_folders(configuration)
    site = open_site(configuration, "act", actor=operator())
    recover(site)
    return site


def _describe_access(session: Session) -> None:
    """Make and show the first token, or say that none is valid."""
    from commands.upkeep.tokens import TokenBook, first_token

    token = first_token(session.site, session.context)
    if token is not None:
        note("No token was made before. This one is for an operator; it is shown only now:")
        note(token, style=None)
        return
    now = session.site.clock.now()
    if not any(each.is_valid(now) for each in TokenBook(session.site.ledger).all()):
        note("No token is valid; make one: backup-ledger tokens create --role operator")


def checked_prefix(prefix: str) -> str:
    """`/database`, or nothing.

    Raises:
        InvalidArgument: it is not a path.
    """
    import re

    from commands.errors import InvalidArgument

    wanted = prefix.rstrip("/")
    if wanted and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", wanted):
        raise InvalidArgument(f"{prefix!r} is not a path; give one such as /database")
    return wanted


def require_extra() -> None:
    """Make sure that what serving needs is installed.

    Raises:
        CommandError: it is not; says what to install.
    """
    from importlib.util import find_spec

    from commands.errors import CommandError

    missing = [each for each in ("fastapi", "uvicorn") if find_spec(each) is None]
    if missing:
        raise CommandError(
            f"serving needs {' and '.join(missing)}: pip install 'backup-ledger[http]'"
        )
