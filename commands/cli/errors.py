"""Every outcome as an exit code, every error as one line on stderr: what, which, what to do."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from commands.cli.output import OutputFailed, discard_output, flush_or_discard, guard_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 usage, 3 verification found something, 4 not found, "
    "5 conflict or busy."
)
FAILED, USAGE, FOUND_SOMETHING = 1, 2, 3
INTERRUPTED = 130
"""What shells give a command that Ctrl-C ended: 128 + SIGINT."""
CLOSED_PIPE = 141
"""What shells give a command whose reader went away: 128 + SIGPIPE."""

_OUR_PACKAGES = ("ledger", "projections", "commands")


@dataclass(slots=True)
class GlobalOptions:
    """The options before the command, and a command's own settings; None where not given."""

    database: Path | None = None
    backups: Path | None = None
    ledger: str | None = None
    projections: str | None = None
    debug: bool = False
    config: Path | None = None
    site: str | None = None
    quiet: bool = False
    as_json: bool = False
    max_mb_per_second: float | None = None
    log_format: str | None = None


class ReportingGroup(TyperGroup):
    """The whole command: whatever happens inside ends as an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        options = extra.setdefault("obj", GlobalOptions())
        args = global_first(sys.argv[1:] if args is None else args)
        options.as_json = "--json" in args

        def work() -> Any:
            return super(ReportingGroup, self).main(
                args, prog_name, complete_var, False, windows_expand_args, **extra
            )

        return sys.exit(outcome_of(work, options)) if standalone_mode else work()


WITH_VALUE = ("--database", "--backups", "--ledger", "--projections", "--config", "--site")
WITHOUT_VALUE = ("--debug", "-q", "--quiet")


def global_first(args: Sequence[str]) -> list[str]:
    """The options that stand before the command, wherever they were given; up to `--`."""
    first: list[str] = []
    rest: list[str] = []
    waiting = list(args)
    while waiting and waiting[0] != "--":
        word = waiting.pop(0)
        if word in WITHOUT_VALUE or word.startswith(tuple(f"{name}=" for name in WITH_VALUE)):
            first.append(word)
        elif word in WITH_VALUE and waiting:
            first += [word, waiting.pop(0)]
        else:
            rest.append(word)
    return [*first, *rest, *waiting]


def outcome_of(work: Callable[[], Any], options: GlobalOptions) -> int:
    """Run a command; the exit code that it ends with."""
    guard_streams()
    try:
        result = work()
        sys.stdout.flush()
    except (typer.Abort, KeyboardInterrupt):
        result = INTERRUPTED
    except OutputFailed as error:
        return _without_output(error)
    except Exception as error:  # noqa: BLE001  (whatever it is, it becomes one line)
        code = _report(error, options)
        flush_or_discard()
        return code
    if result == INTERRUPTED:
        complain(
            "interrupted; the next command finishes or undoes what was begun",
            INTERRUPTED,
            as_json=options.as_json,
        )
    return result if type(result) is int else 0


def complain(message: str, code: int = FAILED, *, as_json: bool = False) -> None:
    """One line on stderr; a JSON object where the answer or the log is one."""
    import logging

    from commands.reporting.terminal import plain

    logger = logging.getLogger("backup_ledger")
    if any(getattr(each, "is_json", False) for each in logger.handlers):
        logger.error("%s", plain(message))
        return
    if as_json:
        line = json.dumps({"error": plain(message), "exit_code": code})
    else:
        line = f"Error: {plain(message)}"
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _report(error: Exception, options: GlobalOptions) -> int:
    usage_message = getattr(error, "format_message", None)
    if usage_message is not None:
        return _report_usage(error, usage_message(), options)
    if options.debug:
        import traceback

        traceback.print_exception(error)
    code, message = explained(error)
    complain(message, code, as_json=options.as_json)
    return code


def _report_usage(error: Any, message: str, options: GlobalOptions) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # the help itself
        return USAGE
    context = getattr(error, "ctx", None)
    where = "backup-ledger" if context is None else context.command_path
    from commands.site.texts import in_our_words

    message = in_our_words(" ".join(message.split()))
    complain(f"{message.rstrip('.')}; see: {where} --help", USAGE, as_json=options.as_json)
    return USAGE


def explained(error: Exception) -> tuple[int, str]:
    """Exit code and message; only errors of ours are trusted to say what to do."""
    from commands.errors import exit_code_of, message_of

    text = message_of(error)
    if type(error).__module__.partition(".")[0] in _OUR_PACKAGES:
        return exit_code_of(error), text
    if isinstance(error, FileNotFoundError) and not error.filename:
        return FAILED, "the current folder is not there any more; change to another one"
    if isinstance(error, OSError) and error.strerror:
        path = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return FAILED, f"{path}{error.strerror}; check the path, its permissions and the disk"
    said = _said_by_sqlite(error)
    if said is not None:
        return FAILED, said
    first_line = text.strip().splitlines()[0] if text.strip() else text
    return FAILED, (
        f"unexpected {type(error).__name__}: {first_line}; run it again as "
        "`backup-ledger --debug ...` to see where"
    )


def _said_by_sqlite(error: Exception) -> str | None:
    """What SQLite said of the disk below one of our own databases; None for anything else."""
    import sqlite3

    cause = getattr(error, "orig", None) or error
    if not isinstance(cause, sqlite3.DatabaseError):
        return None
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code not in (
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    ):
        return None
    return (
        f"the ledger or its read models cannot be read or written: {cause}; check the disk, its "
        "free space and the permissions of the backups folder, then try again"
    )


def _without_output(error: OutputFailed) -> int:
    discard_output()
    if error.is_closed:
        return CLOSED_PIPE
    complain(f"standard output cannot be written: {error}; the answer is not complete")
    return FAILED
