"""What the helper process is asked to do, as it goes through its standard input.

Plain dataclasses: to import pydantic would be half of the helper's start.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """`options`: of the store. `bytes_per_second`: at most, 0 for no limit."""

    url: str
    options: dict[str, str]
    niceness: int = 0
    bytes_per_second: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyJob(_Job):
    """Make one copy. Paths are local; `condemned` and `missing` are names of packs in hex.

    `index_folder`: of this repository. `created_at`: microseconds since 1970. `lock_seconds`: how
    long an object is locked from its PUT on. `promised_until`: in seconds since 1970, up to when
    every pack of the copy must be locked.
    """

    path: str
    size: int
    sha256: str
    backup_id: str
    copy_id: str
    source: str
    schema_fingerprint: str
    created_at: int
    filename: str
    recipients: list[str]
    share: bool
    condemned: list[str]
    missing: list[str]
    index_folder: str
    scratch: str
    lock_seconds: int = 0
    promised_until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyResult:
    """What was stored. `pack_names`: of every pack that the copy names, in hex.

    `locked_until`: when the first of its packs is not locked any more, in seconds since 1970.
    """

    manifest_sha256: str
    packs_root: str
    pages: int
    new_pages: int
    sent_bytes: int
    pack_names: list[str]
    missing: list[str]
    found: list[str]
    locked_until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchJob(_Job):
    """Bring one copy's file back. What the ledger recorded must be what is found.

    `identities`: private keys; they go through the pipe and nowhere else. `kept_packs`: the folder
    where packs wait that were received before; None to keep none.
    """

    path: str
    copy_id: str
    backup_id: str
    size: int
    sha256: str
    manifest_sha256: str
    packs_root: str
    identities: list[str]
    kept_packs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    received_bytes: int
    packs: int
