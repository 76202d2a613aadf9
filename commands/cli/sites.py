"""Commands that mean every site where several are configured and none is named."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, cast

import typer

from commands.cli.errors import FAILED, GlobalOptions, complain, explained
from commands.cli.output import OutputFailed
from commands.cli.session import whole_configuration
from commands.reporting.terminal import say, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from commands.site.configuration import Configuration

P = ParamSpec("P")


def several_sites(ctx: typer.Context) -> dict[str, Configuration]:
    """The sites that a command means; empty where it means one database.

    Raises:
        InvalidArgument: the configuration is not right.
    """
    from commands.site.sites import meant_sites

    return meant_sites(whole_configuration(ctx))


def for_each_site(command: Callable[P, None]) -> Callable[P, None]:
    """Run a command for one site after the other, where it means all.

    One site's failure does not keep the others from their turn. With --json the answer is one
    object: {"sites": {name: what the command says of it}}. The exit code is that of the sites
    whose command did not end well, or 1 where they differ.
    """

    @wraps(command)
    def for_all(*args: P.args, **kwargs: P.kwargs) -> None:
        ctx = cast("typer.Context", kwargs.get("ctx", args[0] if args else None))
        options: GlobalOptions = ctx.obj
        names = list(several_sites(ctx))
        if len(names) <= 1:
            command(*args, **kwargs)
            return
        codes: list[int] = []
        answers: dict[str, Any] = {}
        for name in names:
            options.site = name
            if not (options.as_json or options.quiet):
                say(f"{name}:", style="bold")
            said = io.StringIO()
            if options.as_json:
                with redirect_stdout(said):
                    codes.append(_outcome(name, options, lambda: command(*args, **kwargs)))
                answers[name] = json.loads(said.getvalue() or "null")
            else:
                codes.append(_outcome(name, options, lambda: command(*args, **kwargs)))
                if not options.quiet:
                    say()
        options.site = None
        if options.as_json:
            write_json({"sites": answers})
        if any(codes):
            raise typer.Exit(_worst(codes))

    return for_all


def _outcome(name: str, options: GlobalOptions, work: Callable[[], None]) -> int:
    """Run a command for one site; the exit code that it would have ended with."""
    try:
        work()
    except typer.Exit as ended:
        return ended.exit_code
    except OutputFailed:
        raise
    except Exception as error:  # noqa: BLE001  (whatever it is, it is this site's alone)
        code, message = explained(error)
        complain(f"site {name}: {message}", code, as_json=options.as_json)
        return code
    return 0


def _worst(codes: Sequence[int]) -> int:
    failed = {code for code in codes if code}
    return failed.pop() if len(failed) == 1 else FAILED
