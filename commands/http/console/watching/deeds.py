"""What the page of troubles does: run what waits, verify what is due, compare the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.recovery.reconcile import reconcile
from commands.runs.run_now import run_now
from commands.verification.daily_drills import due_backups
from commands.verification.verify import verify_backups

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.http.jobs import Job, Tell
    from commands.http.served_site import ServedSite
    from ledger.append.ledger import Context


def run_now_work(served: ServedSite, context: Context) -> Callable[[Job, Tell], dict[str, Any]]:
    """Running what waits, as a job."""

    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        done = run_now(served.site, context, tell)
        return {
            "completed": done.completed,
            "failed": done.failed,
            "taken": done.taken,
            "left": done.left,
            "problem": done.problem,
        }

    return work


def verify_due_work(served: ServedSite, context: Context) -> Callable[[Job, Tell], dict[str, Any]]:
    """Verifying what is due, as a job; `bad`: name and problem of each that is not good."""

    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        good, bad = 0, []
        for level, backups in due_backups(served.site, context.now):
            for each in verify_backups(
                served.site, context, backups, level, trigger="due", on_progress=tell
            ):
                if each.is_good:
                    good += 1
                else:
                    problem = each.problem or each.failure
                    bad.append({"filename": each.backup.filename, "problem": problem})
        return {"ok": not bad, "good": good, "bad": bad}

    return work


def reconcile_work(served: ServedSite, context: Context) -> Callable[[Job, Tell], dict[str, Any]]:
    """Making catalog and folder agree, as a job; file names."""

    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        done = reconcile(served.site, context, lambda number, total: tell("files", number, total))
        return {
            "adopted": done.adopted,
            "missing": done.missing,
            "back": done.back,
            "left_alone": done.left_alone,
        }

    return work
