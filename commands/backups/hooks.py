"""Commands of the operator's own around a backup: before it, after it, and when one fails.

A hook is a line for `/bin/sh`, with the facts in its environment. Whatever becomes of it, the
backup goes on: a hook that fails, or does not end in time, is recorded and logged.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from commands.errors import message_of
from ledger.append.ledger import Draft
from ledger.events.housekeeping import HookFailed
from ledger.records.record import cut_text
from ledger.vocabulary import LEDGER_STREAM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.folds.backup import Backup

Hook = Literal["hook_before", "hook_after", "hook_failure"]
PREFIX = "BACKUP_LEDGER_HOOK_"
MAX_OUTPUT_BYTES = 4_096
logger = logging.getLogger("backup_ledger.hooks")


def run_hook(site: Site, context: Context, hook: Hook, facts: Mapping[str, object]) -> None:
    """Run a hook, where one is set, and wait for it; never raises for what the hook does."""
    command = getattr(site.configuration, hook)
    if command is None:
        return
    limit = site.configuration.hook_seconds
    code, output, problem = _run(command, _environment(site, hook, facts), limit)
    level = logging.INFO if problem is None else logging.WARNING
    logger.log(level, "%s: %s%s", hook, problem or "done", f": {output}" if output else "")
    if problem is not None:
        details = HookFailed(hook=hook, exit_code=code, output=output)
        draft = Draft(LEDGER_STREAM, details, error_message=problem)
        site.notify(site.ledger.append(context, draft))


def facts_of(
    backups: Sequence[Backup], site: Site, *, users: Sequence[int | None] = ()
) -> dict[str, object]:
    """What an after-hook is told: of backups that share a file, the first one's."""
    first = backups[0]
    owners = users or [each.user_id for each in backups]
    return {
        "BACKUP_ID": first.backup_id,
        "FILENAME": first.filename,
        "FILEPATH": site.store.path(first.filename),
        "KIND": first.kind,
        "SIZE": first.size,
        "SHA256": first.sha256,
        "USERS": ",".join(str(each) for each in owners if each is not None),
    }


def failure_facts(
    kind: str, users: Sequence[int | None], error: BaseException
) -> dict[str, object]:
    """What a failure-hook is told."""
    return {
        "KIND": kind,
        "USERS": ",".join(str(each) for each in users if each is not None),
        "ERROR": cut_text(message_of(error), MAX_OUTPUT_BYTES),
        "ERROR_TYPE": type(error).__name__,
    }


def _environment(site: Site, hook: Hook, facts: Mapping[str, object]) -> dict[str, str]:
    told = {
        "EVENT": hook.removeprefix("hook_"),
        "DATABASE": site.configuration.database_path,
        "BACKUPS": site.store.folder,
        **facts,
    }
    return dict(os.environ) | {
        f"{PREFIX}{name}": str(value).replace("\0", "") for name, value in told.items()
    }


def _run(
    command: str, environment: Mapping[str, str], limit_seconds: float
) -> tuple[int | None, str, str | None]:
    """Exit code, output, and what went wrong; its children end with it."""
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own line
                ["/bin/sh", "-c", command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return None, "", f"it could not be started: {error.strerror}"
        try:
            code = process.wait(limit_seconds)
            problem = None if code == 0 else f"it ended with exit code {code}"
        except subprocess.TimeoutExpired:
            code, problem = None, f"it did not end within {limit_seconds:g} seconds"
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        said = output.read(MAX_OUTPUT_BYTES + 1).decode("utf-8", "replace").strip()
    return code, cut_text(said, MAX_OUTPUT_BYTES), problem
