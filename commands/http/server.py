"""uvicorn around the application: where it listens, and how it ends."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn

from commands.errors import CommandError
from commands.http.application import create_app
from commands.http.middleware.connections import ImpatientProtocol
from commands.http.served_site import ServedSite
from commands.scheduler.all_sites import run_all_sites
from commands.scheduler.process import run_scheduler

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from commands.http.sites.served_sites import ServedSites
    from commands.site.site import Site

KEEP_ALIVE_SECONDS = 15
LAST_REQUESTS_SECONDS = 10


class _Server(uvicorn.Server):
    """Streams end when the service is asked to end, not when their readers go."""

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a signal that was obeyed is not sent once more afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {each: signal.signal(each, self.handle_exit) for each in numbers}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.set()
        await super().shutdown(sockets)


def make_server(
    served: ServedSite,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    prefix: str,
    scheduler_runs: Callable[[], bool] = lambda: False,
) -> uvicorn.Server:
    """A server that is not running yet."""
    site = served.site
    served.scheduler_runs = scheduler_runs
    app = create_app(
        served,
        prefix=prefix,
        hosts=site.configuration.http_hosts,
        trusted_proxies=site.configuration.http_trusted_proxies,
    )
    return server_of(app, served.stopping, host=host, port=port)


def server_of(app: ASGIApp, stopping: threading.Event, *, host: str, port: int) -> uvicorn.Server:
    """A server of any application. `stopping`: what ends its streams."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,  # what it warns of goes where our own log goes
        log_level="warning",
        access_log=False,  # who did what stands in the ledger
        server_header=False,
        proxy_headers=False,  # which proxies are believed is a setting of ours
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=LAST_REQUESTS_SECONDS,
        h11_max_incomplete_event_size=32 * 1024,
        http=ImpatientProtocol,
        ws="none",
    )
    return _Server(config, stopping)


def listen(server: uvicorn.Server) -> socket.socket:
    """The socket, listening.

    Raises:
        CommandError: the address cannot be had.
    """
    host, port = server.config.host, server.config.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: only then does asyncio switch off Nagle's algorithm, which holds
    # short answers back for 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        raise CommandError(
            f"cannot listen at {host} port {port}: {error.strerror or error}; choose another --port"
        ) from error
    return listening


def run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until a signal says to stop."""
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


@contextmanager
def schedulers_beside(sites: ServedSites, *, turns: int, retry_seconds: float) -> Iterator[None]:
    """A scheduler for each site, in threads of their own; they end after the running backups."""
    stop, shared = threading.Event(), threading.BoundedSemaphore(turns)

    @contextmanager
    def opening(name: str) -> Iterator[Site]:
        site = sites.open_site(name)
        site.turns = shared
        yield site

    openings = {name: partial(opening, name) for name in sites.names}
    work = partial(run_all_sites, openings, stop=stop, retry_seconds=retry_seconds)
    thread = threading.Thread(target=work, name="schedulers")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def scheduler_beside(site: Site, server: uvicorn.Server) -> Iterator[Callable[[], bool]]:
    """The scheduler in a thread of its own; ends after the running backup.

    Raises:
        Exception: what ended the scheduler; the server is stopped then, as half of what was
            asked for would look like all of it.
    """
    stop = threading.Event()
    failures: list[Exception] = []

    def work() -> None:
        try:
            run_scheduler(site, once=False, stop=stop)
        except Exception as error:  # noqa: BLE001  (raised again below)
            failures.append(error)
            server.should_exit = True

    thread = threading.Thread(target=work, name="scheduler")
    thread.start()
    try:
        yield thread.is_alive
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]
