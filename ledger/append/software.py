"""Which version of this software wrote a ledger, and whether this one may go on with it.

A newer version may record what an older one cannot read. So the newest version that worked on a
ledger is noted in its meta, and an older one is refused before it begins, not midway.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def software_version() -> str:
    """The version of this software; "unknown" where it was not installed. Read from disk once."""
    try:
        return version("backup-ledger")
    except PackageNotFoundError:
        return "unknown"


def is_newer(one: str | None, other: str | None) -> bool:
    """Whether a version comes after another; only the numbers count. Unknown is never newer."""
    return _release(one) > _release(other) != ()


def _release(version: str | None) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version or "")
    return tuple(int(each) for each in found[0].split(".")) if found else ()
