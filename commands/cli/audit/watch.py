"""backup-ledger audit watch: compare a ledger with what was seen of it before."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.errors import EXIT_CODES
from commands.cli.options import JsonOption
from commands.reporting.terminal import note, say, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.audit.watch import Look
    from commands.audit.watched_places import WatchedPlace

STORE_SCHEMES = ("file://", "s3://", "gs://", "az://")
MAX_TOKEN_BYTES = 4_096


def register(app: typer.Typer) -> None:
    """Add the command to `backup-ledger audit`."""
    app.command("watch", epilog=EXIT_CODES)(watch)


def watch(  # noqa: PLR0917  (options are parameters)
    place: Annotated[
        str,
        typer.Argument(
            metavar="URL|FOLDER",
            help="Published tiles, an off-site destination, the service's address with its "
            "prefix, or a backups folder.",
        ),
    ],
    public_key: Annotated[
        str,
        typer.Option("--public-key", metavar="VKEY", help="The ledger's key: name+hash+base64."),
    ],
    state: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the last checkpoint is kept [in your home]."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Check once and end, for cron.")] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, max=86_400, help="How often to check.")
    ] = 300.0,
    silent_hours: Annotated[
        float,
        typer.Option(metavar="HOURS", min=0.01, help="Alarm after this long without a checkpoint."),
    ] = 48.0,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An access token for the service.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Watch a ledger from outside; raise an alarm on a fork.

    A fork is a history that does not continue the one that was seen before. Run this as an auditor
    or on a second machine. It keeps the last checkpoint that it saw in a file of yours, and checks
    the signature of each new one and the proof that it continues the last. A fork, a rollback, a
    wrong signature or a silent log ends the command with exit code 3; the evidence is kept beside
    the file. Exit code 1: the ledger could not be read.

    \b
    Examples:
      backup-ledger audit watch https://example.com/ledger --public-key "$(cat ledger.pub)"
      backup-ledger audit watch /mnt/nas/copies --public-key "$(cat ledger.pub)" --once
    """
    from datetime import timedelta

    from commands.audit.keys import parse_public_key
    from commands.audit.watch import default_state, look
    from ledger.clock import SystemClock

    key, clock = parse_public_key(public_key), SystemClock()
    watched = _place(place, None if token_file is None else _token(token_file))
    memory = (default_state(key) if state is None else state).absolute()
    silent = timedelta(hours=silent_hours)
    _look_on(
        lambda: look(watched, key, memory, clock.now(), silent),
        None if once else every,
        as_json=as_json,
    )


def _look_on(look: Callable[[], Look], every: float | None, *, as_json: bool) -> None:
    """Look once, or again and again; tell what changed. Ends with whatever alarm there is."""
    from commands.audit.watch import Alarm
    from commands.audit.watched_places import PlaceUnreadable

    last: tuple[int, str] | None = None
    while True:
        try:
            found = look()
        except Alarm as error:
            if as_json:
                write_json({"ok": False, "alarm": error.kind, "message": str(error)})
            raise
        except PlaceUnreadable as error:
            if every is None:
                raise
            note(str(error))
        else:
            if (found.size, found.root) != last:
                _tell(found, as_json=as_json)
            last = found.size, found.root
        if every is None:
            return
        time.sleep(every)


def _tell(found: Look, *, as_json: bool) -> None:
    from commands.audit.watch import as_json as shape

    if as_json:
        write_json(shape(found))
    else:
        say(found.sentence)


def _place(text: str, token: str | None) -> WatchedPlace:
    """What a URL or a folder is.

    Raises:
        PlaceUnreadable: it is nothing that can be watched.
    """
    from commands.audit.watched_places import (
        LedgerFile,
        LedgerService,
        PlaceUnreadable,
        PublishedTiles,
        folder_fetch,
        url_fetch,
    )
    from commands.site.configuration import sqlite_url

    if text.startswith(("http://", "https://")):
        fetch = url_fetch(text, token)
        has_tiles = any(fetch(name) is not None for name in ("checkpoint", "ledger/checkpoint"))
        return PublishedTiles(text, fetch) if has_tiles else LedgerService(text, fetch)
    if text.startswith(STORE_SCHEMES):
        return PublishedTiles(text, _store_fetch(text))
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise PlaceUnreadable(f"there is no folder {folder}; is it mounted?")
    if (folder / "ledger.sqlite").is_file():
        return LedgerFile(sqlite_url(folder.absolute() / "ledger.sqlite"))
    return PublishedTiles(str(folder), folder_fetch(folder))


def _store_fetch(url: str) -> Callable[[str], bytes | None]:
    """An off-site destination, with the credentials of the environment."""
    from commands.audit.watched_places import PlaceUnreadable
    from commands.offsite.errors import DestinationUnreachable, ObjectMissing
    from commands.offsite.repository.opening import open_store

    store = open_store(url)

    def fetch(path: str) -> bytes | None:
        try:
            return store.get(path)
        except ObjectMissing:
            return None
        except DestinationUnreachable as error:
            raise PlaceUnreadable(str(error)) from error

    return fetch


def _token(path: Path) -> str:
    from commands.errors import InvalidArgument
    from commands.sqlite.files import read_given

    try:
        return read_given(path, MAX_TOKEN_BYTES).decode("ascii").strip()
    except OSError as error:
        raise InvalidArgument(f"the token file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InvalidArgument(f"{path} holds no access token") from None
