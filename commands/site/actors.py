"""Who acts: the actors of the command line, the facade, the scheduler and the system."""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path

from ledger.records.record import Actor, cut_text

SYSTEM = Actor(id="backup-ledger", kind="system")
_UNSET_LOGIN_UID = 2**32 - 1
FACADE = Actor(id="facade", kind="system")


def operator() -> Actor:
    """The account at the command line, and who logged in as another one to become it.

    The name is that of the process's uid: what LOGNAME or USER say, anybody can set.
    """
    uid = os.geteuid()
    person = _person_behind(uid)
    name = _name_of(uid) if person is None else f"{_name_of(uid)} (login: {_name_of(person)})"
    return Actor(id=cut_text(name, 256), kind="operator")


def _person_behind(uid: int) -> int | None:
    """The uid that logged in, where it is another: the kernel's, or of root what sudo says."""
    login = _number(_login_uid())
    if login in (None, _UNSET_LOGIN_UID) and uid == 0:
        login = _number(os.environ.get("SUDO_UID", ""))
    return None if login in (None, _UNSET_LOGIN_UID, uid) else login


def _login_uid() -> str:
    """What Linux's audit knows of this session; it cannot be changed by who runs in it."""
    try:
        return Path("/proc/self/loginuid").read_text("ascii")
    except (OSError, ValueError):
        return ""


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,10}\n?", text) else None


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return f"uid {uid}"


def user(user_id: int) -> Actor:
    return Actor(id=str(user_id), kind="user")


def scheduler(instance: str) -> Actor:
    return Actor(id=instance, kind="scheduler")
