"""A witness as https://c2sp.org/tlog-witness describes it, on loopback, with all its refusals."""

from __future__ import annotations

import re
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ledger.tree.checkpoint import Checkpoint, cosign_checkpoint, open_checkpoint
from ledger.tree.merkle import EMPTY_ROOT
from ledger.tree.proofs import ProofError
from ledger.tree.signed_note import (
    Note,
    NoteError,
    SignatureType,
    SignerKey,
    VerifierKey,
    generate_key,
)

MAX_BODY_BYTES = 65_536
REQUEST = re.compile(
    rb"old (0|[1-9][0-9]{0,18})\n((?:[A-Za-z0-9+/]{43}=\n){0,63})\n(.+)", re.DOTALL
)


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(
        self, status: HTTPStatus, body: str = "", content_type: str = "text/plain"
    ) -> None:
        super().__init__(status)
        self.status, self.body, self.content_type = status, body, content_type


@dataclass
class Witness:
    """What it knows: logs by origin, their keys, and the newest checkpoint that it cosigned.

    `answers`: what it says instead, one request after the other; None for the true answer.
    """

    key: SignerKey
    logs: dict[str, list[VerifierKey]]
    now_seconds: int = 1_700_000_000
    seen: dict[str, bytes] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)
    answers: list[tuple[int, bytes] | None] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def add_checkpoint(self, body: bytes) -> bytes:
        """The cosignature's line. Checking and remembering are one step, as the lock has it."""
        with self.lock:
            self.requests.append(body)
            match = REQUEST.fullmatch(body)
            if match is None:
                raise Refusal(HTTPStatus.BAD_REQUEST)
            old, note = int(match[1]), match[3]
            proof = [b64decode(line) for line in match[2].splitlines()]
            checkpoint, log_key = self._checked(note)
            if old > checkpoint.size:
                raise Refusal(HTTPStatus.BAD_REQUEST)
            before = self._last(checkpoint.origin)
            if before.size != old or (old == checkpoint.size and before.root != checkpoint.root):
                raise Refusal(HTTPStatus.CONFLICT, f"{before.size}\n", "text/x.tlog.size")
            try:
                checkpoint.check_continues(before, proof)
            except (NoteError, ProofError):
                raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY) from None
            bare = Note(checkpoint.to_text(), (self._signature(note, log_key),)).to_bytes()
            cosigned = cosign_checkpoint(bare, log_key, self.key, self.now_seconds)
            self.seen[checkpoint.origin] = cosigned
            return cosigned.removeprefix(bare)

    def _checked(self, note: bytes) -> tuple[Checkpoint, VerifierKey]:
        try:
            checkpoint = Checkpoint.from_text(Note.from_bytes(note).text)
        except NoteError:
            raise Refusal(HTTPStatus.BAD_REQUEST) from None
        if checkpoint.origin not in self.logs:
            raise Refusal(HTTPStatus.NOT_FOUND)
        for key in self.logs[checkpoint.origin]:
            try:
                return open_checkpoint(note, key).checkpoint, key
            except NoteError:
                continue
        raise Refusal(HTTPStatus.FORBIDDEN)

    def _last(self, origin: str) -> Checkpoint:
        if origin not in self.seen:
            return Checkpoint(origin, 0, EMPTY_ROOT)
        return Checkpoint.from_text(Note.from_bytes(self.seen[origin]).text)

    @staticmethod
    def _signature(note: bytes, key: VerifierKey):  # type: ignore[no-untyped-def]  # noqa: ANN205
        signatures = Note.from_bytes(note).signatures
        return next(each for each in signatures if each.key_id == key.key_id)

    @property
    def setting(self) -> Mapping[str, str]:
        """As it is named in the configuration."""
        return {"url": self.url, "key": self.key.verifier().to_text()}


@contextmanager
def running(witness: Witness) -> Iterator[Witness]:
    """The witness behind HTTP, at a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers["Content-Length"]), MAX_BODY_BYTES))
            instead = witness.answers.pop(0) if witness.answers else None
            if instead is not None:
                self._answer(*instead, "text/plain")
                return
            try:
                if self.path != "/add-checkpoint":
                    raise Refusal(HTTPStatus.NOT_FOUND)
                self._answer(HTTPStatus.OK, witness.add_checkpoint(body), "text/plain")
            except Refusal as refusal:
                self._answer(refusal.status, refusal.body.encode(), refusal.content_type)

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests look at `requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    witness.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield witness
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def new_witness(name: str, *log_keys: VerifierKey) -> Witness:
    """One that knows these logs."""
    logs: dict[str, list[VerifierKey]] = {}
    for key in log_keys:
        logs.setdefault(key.name, []).append(key)
    return Witness(generate_key(name, None, SignatureType.COSIGNATURE), logs)
