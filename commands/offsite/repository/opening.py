"""Opening the store of a URL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from commands.offsite.errors import DestinationRefused
from commands.offsite.repository.folder_store import FolderStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from commands.offsite.repository.stores import ObjectStore

BUCKET_SCHEMES = ("s3", "gs", "az")


def open_store(url: str, options: Mapping[str, str] | None = None) -> ObjectStore:
    """The store of a URL: `file:///path`, `s3://bucket/prefix`, `gs://`, `az://`.

    Raises:
        DestinationRefused: it is not a URL of a store, or carries a password.
    """
    scheme = require_url(url)
    if scheme == "file":
        return FolderStore(Path(unquote(urlsplit(url).path)))
    from commands.offsite.repository.bucket_store import BucketStore  # noqa: PLC0415 (slow)

    return BucketStore(url, options or {})


def require_url(url: str) -> str:
    """The scheme of a destination's URL.

    Raises:
        DestinationRefused: it is not a URL of a store, or carries a password.
    """
    parts = urlsplit(url)
    if parts.password or (parts.scheme in BUCKET_SCHEMES and parts.username) or parts.query:
        raise DestinationRefused(
            "a destination's URL holds no credentials and no query; give them in the environment "
            "or in the credentials file"
        )
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
            raise DestinationRefused(f"{url!r} names no folder; write file:///mnt/nas/backups")
    elif parts.scheme not in BUCKET_SCHEMES or not parts.netloc:
        raise DestinationRefused(
            f"{url!r} is not a destination; give file:///folder, s3://bucket/prefix, "
            "gs://bucket/prefix or az://container/prefix"
        )
    return parts.scheme
