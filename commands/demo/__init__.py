"""`backup-ledger demo`: six weeks of a law office, simulated in seconds.

Real files, real backups, a real restore. Only the clock is simulated.
"""

from commands.demo.story import run_demo

__all__ = ["run_demo"]
