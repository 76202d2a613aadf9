"""`audit watch` and `audit rotate-key` as an auditor and an operator use them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from commands.audit.keys import read_private_key
from tests.acceptance.place import (
    FAILED,
    NOT_FOUND,
    USAGE,
    Ended,
    Place,
    make_database,
    require_clear,
)

FOUND = 3


@pytest.fixture
def signed(place: Place) -> Place:
    """A ledger with a signed checkpoint."""
    place.done("audit", "keygen", "example.com/backups", "--out", str(place.folder / "key"))
    grow(place)
    return place


def grow(place: Place) -> None:
    count = len(place.events()) % 20 + 1
    place.done("settings", "set", "1", "--keep", str(count))
    place.done("audit", "checkpoint", "--key", str(place.folder / "key"))


def public_key(place: Place, name: str = "key") -> str:
    return read_private_key(place.folder / name).verifier().to_text()


def watch(place: Place, where: str | Path, *more: str, key: str | None = None) -> Ended:
    state = str(place.folder / "watcher" / "state")
    return place.run(
        "audit", "watch", str(where), "--once", "--state", state,
        "--public-key", key or public_key(place), *more,
    )  # fmt: skip


def test_a_backups_folder_is_watched(signed: Place) -> None:
    """First look, the same again, more; in words and as JSON."""
    first = watch(signed, signed.backups)
    assert first.code == 0, first
    assert first.out.startswith("First look: ")
    assert watch(signed, signed.backups).out.startswith("The same ")
    grow(signed)
    found = watch(signed, signed.backups, "--json").json
    assert found["ok"] is True
    assert found["before"] < found["size"]
    assert (found["alarm"], set(found)) == (
        None,
        {"ok", "alarm", "message", "size", "root", "before", "seen_at"},
    )


def test_a_rewritten_ledger_ends_with_3(signed: Place, tmp_path: Path) -> None:
    """Another history with the same key: its owner has every key there is."""
    watch(signed, signed.backups)
    other = Place(tmp_path / "rewritten")
    other.folder.mkdir()
    make_database(other.database)
    (other.folder / "key").write_bytes((signed.folder / "key").read_bytes())
    for _ in range(4):
        grow(other)
    ended = watch(signed, other.backups)
    require_clear(ended, FOUND, "a fork: ")
    assert "kept as evidence: " in ended.err
    ended = watch(signed, other.backups, "--json")
    assert (ended.code, json.loads(ended.out)["alarm"]) == (FOUND, "fork")


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_published_tiles_are_watched_wherever_they_are(signed: Place, tmp_path: Path) -> None:
    """A destination by its URL, its folder, and the same folder behind a web server."""
    nas = tmp_path / "nas"
    with_key = {"BACKUP_LEDGER_CHECKPOINT_KEY": str(signed.folder / "key")}
    signed.done("offsite", "add", f"file://{nas}", "--name", "nas", "--clear", **with_key)
    sizes = []
    with web_server(nas) as url:
        for number, where in enumerate((f"file://{nas}", str(nas), url)):
            signed.done("backup", "create", f"copy{number}", **with_key)
            signed.done("offsite", "copy", "--to", "nas", **with_key)
            ended = watch(signed, where, "--json")
            assert ended.code == 0, ended
            sizes.append(ended.json["size"])
    assert sizes == sorted(set(sizes))


def test_what_cannot_be_watched_is_said(signed: Place, tmp_path: Path) -> None:
    """One line each, and 1: nothing was found, nothing is known."""
    empty = tmp_path / "empty"
    empty.mkdir()
    require_clear(watch(signed, tmp_path / "missing"), FAILED, "there is no folder")
    require_clear(watch(signed, empty), FAILED, "has no checkpoint")
    require_clear(watch(signed, "http://127.0.0.1:9/x"), FAILED, "cannot be reached")
    require_clear(watch(signed, signed.backups, key="x"), USAGE, "is no")
    with web_server(empty) as url:
        require_clear(watch(signed, url), FAILED, "audit/checkpoint")
    token = str(tmp_path / "none")
    require_clear(watch(signed, "http://127.0.0.1:9", "--token-file", token), USAGE, "token file")


def test_a_key_is_rotated_and_auditors_follow(signed: Place) -> None:
    """Old checkpoints, new ones, bundles and the watcher, with the old key and the new."""
    old = public_key(signed)
    watch(signed, signed.backups)
    grow(signed)
    new = signed.done(
        "audit",
        "rotate-key",
        "--key",
        str(signed.folder / "key"),
        "--out",
        str(signed.folder / "new"),
    ).out.strip()
    assert new == public_key(signed, "new")
    ended = signed.run("audit", "checkpoint", "--key", str(signed.folder / "key"))
    require_clear(ended, FAILED, "was replaced at")
    signed.done("audit", "checkpoint", "--key", str(signed.folder / "new"))
    signed.done("audit", "export", str(signed.folder / "out"), "--key", str(signed.folder / "new"))
    for key in (old, new):
        signed.done("audit", "verify", "--public-key", key)
        signed.done("audit", "verify-bundle", str(signed.folder / "out"), "--public-key", key)
    signed.done("audit", "checkpoint", "--key", str(signed.folder / "new"))
    assert watch(signed, signed.backups, key=new).code == 0
    assert "ledger.key_rotated" in signed.types()


def test_witness_keys_are_read_with_care(signed: Place) -> None:
    """A quorum without keys, a log's key as a witness's, more than there are."""
    verify = ("audit", "verify", "--public-key", public_key(signed))
    require_clear(signed.run(*verify, "--quorum", "1"), USAGE, "--witness-key")
    require_clear(signed.run(*verify, "--witness-key", public_key(signed)), USAGE, "of a witness")
    require_clear(signed.run(*verify, "--witness-key", "x"), USAGE, "not a public key")
    ended = signed.run("audit", "verify-bundle", "none", "--public-key", public_key(signed))
    assert ended.code == NOT_FOUND
