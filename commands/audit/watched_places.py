"""Where a watcher looks: published tiles, the service's own address, or a ledger's folder.

Each gives the newest checkpoint, and a proof that one tree continues another. Neither is believed
before it was checked.
"""

from __future__ import annotations

from base64 import b64decode
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from commands.errors import CommandError
from ledger.append.database import open_engine, reading_snapshot
from ledger.append.kept_checkpoints import newest_signed
from ledger.append.stored_tree import TreeReader
from ledger.errors import LedgerError
from ledger.tree.proofs import consistency_proof
from ledger.tree.tiles import TileError, TileTree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy.engine import URL

    from ledger.tree.signed_note import VerifierKey

WAIT_SECONDS = 20.0
MAX_BYTES = 1_000_000
"""More than a tile or a checkpoint ever has."""

PREFIXES = ("", "ledger/")
"""Where tiles are below a place: at its root, or as beside off-site copies."""


class PlaceUnreadable(CommandError, OSError):
    """The place cannot be read, or holds no checkpoint or not all tiles: nothing can be said."""


class WatchedPlace(Protocol):
    """What is watched. Everything raises PlaceUnreadable."""

    def checkpoint(self, key: VerifierKey) -> bytes:
        """The newest checkpoint there."""
        ...

    def consistency(self, first: int, second: int) -> tuple[bytes, ...]:
        """What is said to prove that the tree of `second` records continues that of `first`."""
        ...


class PublishedTiles:
    """C2SP tlog-tiles, wherever `fetch` gets them from; None where there is nothing."""

    def __init__(self, place: str, fetch: Callable[[str], bytes | None]) -> None:
        self._place, self._fetch, self._prefix = place, fetch, PREFIXES[0]

    def checkpoint(self, key: VerifierKey) -> bytes:
        del key
        for prefix in PREFIXES:
            found = self._fetch(f"{prefix}checkpoint")
            if found is not None:
                self._prefix = prefix
                return found
        raise PlaceUnreadable(f"{self._place} has no checkpoint; is the ledger published there?")

    def consistency(self, first: int, second: int) -> tuple[bytes, ...]:
        tree = TileTree(second, lambda path: self._fetch(self._prefix + path))
        try:
            return consistency_proof(first, second, tree)
        except TileError as error:
            raise PlaceUnreadable(f"{self._place}: {error}; nothing can be proved") from error


class LedgerService:
    """The HTTP interface of this software: `/audit/checkpoint` and `/audit/consistency`."""

    def __init__(self, place: str, fetch: Callable[[str], bytes | None]) -> None:
        self._place, self._fetch = place, fetch

    def checkpoint(self, key: VerifierKey) -> bytes:
        del key
        return self._get("audit/checkpoint")

    def consistency(self, first: int, second: int) -> tuple[bytes, ...]:
        lines = self._get(f"audit/consistency?first={first}&second={second}").split(b"\n")
        try:
            return tuple(b64decode(line, validate=True) for line in lines if line)
        except ValueError as error:
            raise PlaceUnreadable(f"{self._place} answers with something else: {error}") from error

    def _get(self, path: str) -> bytes:
        found = self._fetch(path)
        if found is None:
            raise PlaceUnreadable(f"{self._place} has no {path}; was a checkpoint signed yet?")
        return found


class LedgerFile:
    """A ledger's own database, read and never written."""

    def __init__(self, url: URL) -> None:
        self._url = url

    def checkpoint(self, key: VerifierKey) -> bytes:
        kept = self._read(lambda connection: newest_signed(connection, key))
        if kept is None:
            raise PlaceUnreadable(f"{self._url.database} has no checkpoint signed by {key.name}")
        note: bytes = kept.note
        return note

    def consistency(self, first: int, second: int) -> tuple[bytes, ...]:
        def prove(connection: Any) -> tuple[bytes, ...]:
            return consistency_proof(first, second, TreeReader(connection))

        proof: tuple[bytes, ...] = self._read(prove)
        return proof

    def _read(self, look: Callable[[Any], Any]) -> Any:
        engine = open_engine(self._url)
        try:
            with reading_snapshot(engine) as connection:
                return look(connection)
        except LedgerError as error:
            raise PlaceUnreadable(f"{self._url.database} cannot be read: {error}") from error
        finally:
            engine.dispose()


def folder_fetch(folder: Path) -> Callable[[str], bytes | None]:
    """Files below a folder."""

    def fetch(path: str) -> bytes | None:
        try:
            with (folder / path).open("rb") as file:
                return file.read(MAX_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise PlaceUnreadable(f"{folder / path} cannot be read: {error.strerror}") from error

    return fetch


def url_fetch(url: str, token: str | None = None) -> Callable[[str], bytes | None]:
    """Objects below an address; redirections are not followed."""
    opener = build_opener(_NoRedirection)
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def fetch(path: str) -> bytes | None:
        request = Request(f"{url.rstrip('/')}/{path}", headers=headers)  # noqa: S310
        try:
            with opener.open(request, timeout=WAIT_SECONDS) as answer:
                data: bytes = answer.read(MAX_BYTES)
                return data
        except HTTPError as error:
            with error:
                if error.code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                    return None
                raise PlaceUnreadable(f"{url} answers with status {error.code}") from error
        except (URLError, OSError, ValueError) as error:
            why = getattr(error, "reason", None) or error
            raise PlaceUnreadable(f"{url} cannot be reached: {why}") from error

    return fetch


class _NoRedirection(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """What is watched is where the auditor said, and nowhere else."""
