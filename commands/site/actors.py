"""Who acts: the actors of the command line, the facade, the scheduler and the system."""

from __future__ import annotations

import getpass

from ledger.records.record import Actor, cut_text

SYSTEM = Actor(id="backup-ledger", kind="system")
FACADE = Actor(id="facade", kind="system")


def operator() -> Actor:
    """The person at the command line, by login name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Actor(id=cut_text(name, 256), kind="operator")


def user(user_id: int) -> Actor:
    return Actor(id=str(user_id), kind="user")


def scheduler(instance: str) -> Actor:
    return Actor(id=instance, kind="scheduler")
