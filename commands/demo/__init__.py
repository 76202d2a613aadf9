"""`backup-ledger demo`: some weeks in the life of a law office, lived in seconds, for real.

Real files, real backups, a real restore. Only the clock is not the machine's.
"""

from commands.demo.story import run_demo

__all__ = ["run_demo"]
