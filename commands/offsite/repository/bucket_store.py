"""A repository in a bucket, by obstore: S3 and what speaks like it; Google and Azure likewise.

Only S3 was tried here. No request depends on conditions, ranges or the order of a listing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import obstore
from obstore import store as stores
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from commands.offsite.errors import (
    DeletionForbidden,
    DestinationRefused,
    DestinationUnreachable,
    ObjectMissing,
)
from commands.offsite.repository.stores import StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CONNECT_TIMEOUT = "10s"
STALLED = "60s"
"""How long a store may send nothing while it answers; slow answers go on."""
LONGEST_ANSWER = "60m"
LONGEST_WRITE = "30m"
"""A whole pack goes through 75 kbit/s in this time; nobody says how far a write is."""
MAX_RETRIES = 4
MAX_MESSAGE = 300
DELETIONS_AT_ONCE = 8
FAILURES = (BaseError, OSError)
"""The library raises some of Python's own errors, such as FileNotFoundError for a 404."""
_FORBIDDEN = (PermissionDeniedError, UnauthenticatedError, PermissionError)


class BucketStore:
    """Objects below a prefix of a bucket."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self.place = url
        client: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT}
        config = dict(options)
        if config.get("endpoint", config.get("aws_endpoint", "")).startswith("http://"):
            client["allow_http"] = True
        try:
            self._store = _opened(
                url, config, client | {"timeout": LONGEST_ANSWER, "read_timeout": STALLED}
            )
            self._writing = _opened(url, config, client | {"timeout": LONGEST_WRITE})
        except (BaseError, ValueError, TypeError) as error:
            raise DestinationRefused(
                f"{url} cannot be opened: {_short(error)}; see docs/OFFSITE.md for its options"
            ) from error

    def put(self, path: str, content: bytes) -> None:
        try:
            obstore.put(self._writing, path, content, use_multipart=False)
        except FAILURES as error:
            raise self._failed("write", path, error) from error

    def get(self, path: str) -> bytes:
        try:
            return bytes(obstore.get(self._store, path).bytes())
        except (NotFoundError, FileNotFoundError) as error:
            raise ObjectMissing(f"there is no {path} at {self.place}") from error
        except FAILURES as error:
            raise self._failed("read", path, error) from error

    def head(self, path: str) -> int | None:
        try:
            return int(obstore.head(self._store, path)["size"])
        except (NotFoundError, FileNotFoundError):
            return None
        except FAILURES as error:
            raise self._failed("look at", path, error) from error

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        try:
            for batch in obstore.list(self._store, prefix.rstrip("/") or None):
                for each in batch:
                    if each["path"].startswith(prefix):
                        yield StoredObject(
                            each["path"], int(each["size"]), each["last_modified"].timestamp()
                        )
        except FAILURES as error:
            raise self._failed("list", prefix or "everything", error) from error

    def delete(self, path: str) -> None:
        try:
            obstore.delete(self._store, path)
        except (NotFoundError, FileNotFoundError):
            return
        except _FORBIDDEN as error:
            raise DeletionForbidden(
                f"these credentials may not delete {path} at {self.place}"
            ) from error
        except FAILURES as error:
            raise self._failed("delete", path, error) from error

    def delete_all(self, paths: Sequence[str]) -> None:
        # One request each: what servers answer to a request for many differs too much.
        with ThreadPoolExecutor(DELETIONS_AT_ONCE, "offsite-delete") as executor:
            for done in [executor.submit(self.delete, path) for path in paths]:
                done.result()

    def _failed(self, what: str, path: str, error: Exception) -> DestinationUnreachable:
        if "RequestTimeTooSkewed" in str(error):
            return DestinationUnreachable(
                f"{self.place} refuses this machine's clock: set it, then try again"
            )
        if isinstance(error, _FORBIDDEN):
            return DestinationUnreachable(
                f"these credentials may not {what} {path} at {self.place}: {_short(error)}"
            )
        return DestinationUnreachable(f"cannot {what} {path} at {self.place}: {_short(error)}")


def _opened(url: str, config: dict[str, str], client: dict[str, Any]) -> Any:
    from_url: Any = stores.from_url
    return from_url(
        url, config=config, client_options=client, retry_config={"max_retries": MAX_RETRIES}
    )


def _short(error: Exception) -> str:
    """The first line of what the library says, which may be a whole page of HTML."""
    text = " ".join(str(error).partition("\n\nDebug source")[0].split())
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}..."
