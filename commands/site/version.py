"""The version of this software."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def software_version() -> str:
    try:
        return version("backup-ledger")
    except PackageNotFoundError:
        return "unknown"
