"""What helps against each kind of finding, in the console's own terms, and the buttons for it."""

from __future__ import annotations

from typing import NamedTuple

from commands.http.console.overview_facts import NO_SCHEDULER
from commands.http.console.page import BASE


class Deed(NamedTuple):
    """A form of one button, and who has it."""

    label: str
    action: str
    roles: tuple[str, ...] = ("operator",)


READERS = ("operator", "auditor")
RUN_NOW = Deed("Run now what waits", f"{BASE}/trouble/run")
LOOK_AGAIN = Deed("Compare folder and catalog", f"{BASE}/trouble/reconcile")
TAKE = Deed("Take a backup now", f"{BASE}/backups")
DEEDS: dict[str, tuple[Deed, ...]] = {
    "overdue": (RUN_NOW,),
    "scheduler": (RUN_NOW,),
    NO_SCHEDULER: (RUN_NOW,),
    "failing": (RUN_NOW,),
    "missing": (LOOK_AGAIN,),
    "gone": (LOOK_AGAIN,),
    "unknown_files": (LOOK_AGAIN,),
    "deleting": (LOOK_AGAIN,),
    "no_backup": (TAKE,),
    "failed": (TAKE,),
    "unverified": (Deed("Verify what is due", f"{BASE}/trouble/verify", READERS),),
    "ledger": (Deed("Verify the ledger", f"{BASE}/audit/verify", READERS),),
}
ADVICE = {
    "database": "Bring the database back, correct its path, or restore its last good "
    "backup. Runs that failed are tried again by themselves for half an hour; after that, run "
    "them here.",
    "store": "See that the folder is mounted and can be written to.",
    "schedules": "Make a schedule, or enable or resume one.",
    "overdue": "See that a scheduler runs. An operator can also run here, once, what is overdue.",
    "failing": "Mend the cause, then run what waits.",
    "orphans": "Disable their schedules, or see why the application lost these users.",
    "missing": "If the files were moved, move them back and compare again. If they are lost, an "
    "off-site copy or an older backup takes their place.",
    "corrupt": "Open each one: its page names the newest good backup. Verify it again if the disk "
    "was mended.",
    "deleting": "A deletion was cut short; comparing finishes it.",
    "no_backup": "Take one now.",
    "failed": "Mend the cause, then take it again.",
    "unverified": "A scheduler verifies a share each day. What is due can also be verified here.",
    "gone": "If the files were moved, move them back; then compare, and it is recorded.",
    "unknown_files": "Compare: what is a backup is taken into the ledger.",
    "collapse": "If the database was meant to hold less, accept the backup. If not, restore the "
    "one before it.",
    "warnings": "Open each one. If what it says is known, accept it.",
    "scheduler": "On the machine of that scheduler, see its log for why, and start one. An "
    "operator can also run here, once, what is overdue.",
    NO_SCHEDULER: "Start one on the machine of this service. An operator can also run here, once, "
    "what is overdue.",
    "ledger": "Verify it; the page of that job names each problem.",
    "read_models": "The older rows go on to serve. If their database is locked or read-only, free "
    "it; then rebuild the projection.",
    "clock": "Check the clock of the machine. Nothing is deleted by age until the clock has passed "
    "that time, or a day was recorded without another jump.",
    "future": "Check the clock of the machine. Retention does not count such a backup until then.",
    "offsite": "Copy what is missing, or see what would be deleted there. A damaged copy is "
    "replaced from a good backup on the machine of this service.",
    "witness": "Ask the operator of that witness; the audit log has each refusal.",
    "source": "Give each database a folder of its own, on the machine of this service.",
    "marker": "If that ledger is not used any more, remove the file beside the database; if it "
    "cannot be written, let this service write in the database's folder.",
    "left_over": "Look at what the database holds, then remove the files on the machine.",
    "own": "The operators of this service know, too. The next try is automatic.",
}
"""By kind of finding; what `status` advises beside is a command, which nobody types here."""
