"""A service on loopback that messages and pings are sent to; it answers as it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any


class Receiver:
    """What arrived so far. `status`: what the next requests are answered with."""

    def __init__(self) -> None:
        self.status = 200
        self.messages: list[dict[str, Any]] = []
        self.pings: list[str] = []
        self.port = 0
        self.hold: Event | None = None
        """While set and not released, requests wait."""
        self._lock = Lock()

    @property
    def target(self) -> str:
        """An address for apprise, with a password in it that nobody should ever see."""
        return f"json://ada:secret-of-ada@127.0.0.1:{self.port}/"

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    @property
    def titles(self) -> list[str]:
        return [each["title"] for each in self.messages]

    def take(self, path: str, body: bytes) -> int:
        if self.hold is not None:
            self.hold.wait(30)
        with self._lock:
            if self.status != 200:
                return self.status
            if body:
                self.messages.append(json.loads(body))
            else:
                self.pings.append(path.strip("/"))
            return 200


@contextmanager
def receiving() -> Iterator[Receiver]:
    """The service, while the block lasts."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(receiver.take(self.path, body))

        def do_GET(self) -> None:
            self._answer(receiver.take(self.path, b""))

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        if receiver.hold is not None:
            receiver.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
