"""One valid set of details for each type of off-site event."""

from __future__ import annotations

from typing import Any

from ledger.events import Details, offsite, offsite_deletion
from tests.sample_values import (
    BACKUP,
    COPY,
    NAME,
    NEXT,
    REPOSITORY,
    SHA,
    SLOT,
    SOURCE,
    uuid_of,
)

_COPY = {"destination": REPOSITORY, "backup_id": BACKUP}
_FETCH = {**_COPY, "fetch_id": uuid_of(11), "reason": "restore"}
_PACKS = {"packs": [SHA], "count": 1, "damaged": False, "part": 1, "parts": 1}
COLLECT = uuid_of(12)
_COLLECTED = {"collect_id": COLLECT, "packs": [SHA], "count": 1, "part": 1, "parts": 1}
_COPY_DELETION = {"filename": NAME, "reason": "retention", "rule": "keep 7"}
_LEASE = {"owner": "db1:4711:boot", "lease_seconds": 300}
OFFSITE_SAMPLES: dict[type[Details], dict[str, Any]] = {
    offsite.DestinationAdded: {
        "name": "nas",
        "url": "file:///mnt/nas/app",
        "options": {"region": "eu-1"},
        "recipients": ["age1one", "age1two"],
        "proved": ["age1one"],
        "clear": False,
        "share": True,
        "salt": "00" * 16,
        "settings": {"keep": 7},
        "stated": {"versioned": True, "lock_days": 30},
        "probe": {"deletes": True},
        "resumed": False,
    },
    offsite.DestinationChanged: {"before": {"keep": 7}, "after": {"keep": 14}},
    offsite.DestinationAttached: {"name": "nas"},
    offsite.DestinationDetached: {"name": "nas", "reason": "the ledger was recovered"},
    offsite.DestinationRemoved: {"name": "nas"},
    offsite.PacksMissing: _PACKS,
    offsite.PacksFound: _PACKS,
    offsite.CopyStarted: {**_COPY, **_LEASE, "filename": NAME, "source": SOURCE},
    offsite.CopyCompleted: {
        **_COPY,
        "copy_id": COPY,
        "size": 4096,
        "sha256": SHA,
        "manifest_sha256": "cd" * 32,
        "packs": 1,
        "packs_root": "ef" * 32,
        "pages": 1,
        "new_pages": 1,
        "sent_bytes": 900,
        "readable_by": ["age1one", "age1two"],
        "protected_until": None,
    },
    offsite.CopyFailed: {**_COPY, "error_type": "DestinationUnreachable"},
    offsite.CopyAbandoned: {**_COPY, "owner": "db1:4711:boot"},
    offsite.CopyVerified: {**_COPY, "level": "drill", "problem": None, "opened": True},
    offsite.CopyCorrupt: {**_COPY, "level": "listed", "problem": "a pack is gone", "opened": False},
    offsite.CopyFetchStarted: {**_FETCH, **_LEASE},
    offsite.CopyFetched: {**_FETCH, "bytes": 900},
    offsite.CopyNotFetched: {**_FETCH, "error_type": "WrongKey"},
    offsite_deletion.CollectStarted: {"collect_id": COLLECT, **_LEASE},
    offsite_deletion.CollectCompleted: {
        "collect_id": COLLECT,
        "copies_condemned": 1,
        "copies_deleted": 1,
        "packs_condemned": 2,
        "packs_deleted": 1,
        "deleted_bytes": 900,
        "append_only": False,
    },
    offsite_deletion.CollectFailed: {"collect_id": COLLECT, "error_type": "abandoned"},
    offsite_deletion.CopyDeletionStarted: {
        **_COPY,
        **_COPY_DELETION,
        "collect_id": COLLECT,
        "not_before": NEXT,
    },
    offsite_deletion.CopyDeleted: {**_COPY, **_COPY_DELETION, "outcome": "removed"},
    offsite_deletion.PacksCondemned: {
        **_COLLECTED,
        "reason": "unnamed",
        "not_before": NEXT,
    },
    offsite_deletion.PacksDeletionStarted: _COLLECTED,
    offsite_deletion.PacksDeleted: {**_COLLECTED, "outcome": "hidden", "bytes": 900},
    offsite_deletion.CopyFound: {
        **_COPY,
        "copy_id": COPY,
        "filename": NAME,
        "source": SOURCE,
        "created_at": SLOT,
        "size": 4096,
        "sha256": SHA,
        "manifest_sha256": "cd" * 32,
        "packs": 1,
        "packs_root": "ef" * 32,
        "pages": 1,
        "readable_by": ["age1one"],
    },
    offsite_deletion.RecipientsChanged: {
        "before": ["age1one"],
        "after": ["age1one", "age1two"],
        "proved": ["age1two"],
        "forced": False,
    },
}
