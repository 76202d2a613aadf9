"""What helps against each kind of finding, in the console's own terms, and the buttons for it."""

from __future__ import annotations

from typing import NamedTuple

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
    "database": "Bring the database back, or correct its path. Runs that failed are tried again by "
    "themselves for half an hour; after that, run them here.",
    "store": "See that the folder is mounted and can be written to.",
    "schedules": "Make a schedule, or enable or resume one.",
    "overdue": "See that a scheduler runs. What is overdue can also be run here, once.",
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
    "own": "Whoever runs this service was told as well. The next try comes by itself.",
}
"""By kind of finding; the others' own advice is shown."""
