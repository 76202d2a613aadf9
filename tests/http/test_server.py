"""The server itself, on a socket and as a process: streams, slow clients, how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from commands.errors import InvalidArgument
from commands.http import ledger_route as route
from commands.http import server
from commands.http.middleware import connections
from commands.site import actors
from commands.site.configuration import Configuration
from commands.site.opening import begin, open_site
from commands.upkeep.tokens import TokenBook, create_token, first_token, revoke_token, token_id_of
from ledger.clock import SystemClock
from tests.commands.world import make_database
from tests.http.conftest import Place

PROGRAM = Path(sys.executable).with_name("backup-ledger")


@contextmanager
def listening(place: Place) -> Iterator[tuple[str, int]]:
    """The place behind a real socket; the address and the port."""
    made = server.make_server(place.app.state.served, port=0, prefix="/database")
    with server.listen(made) as at:
        thread = threading.Thread(target=server.run, args=(made, at))
        thread.start()
        try:
            yield at.getsockname()
        finally:
            made.should_exit = True
            thread.join()


def test_who_follows_is_told_at_once_and_the_stream_ends_with_the_server(place: Place) -> None:
    """An event that is recorded while somebody listens arrives; a stop does not wait for them."""
    with listening(place) as (host, port):
        address = f"http://{host}:{port}/database/audit/follow"
        headers = {"Authorization": f"Bearer {place.token('auditor')}"}
        with httpx.stream("GET", address, headers=headers, timeout=20, trust_env=False) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "retry: 1000"
            place.world.configure(9)
            data = next(line for line in lines if line.startswith("data: "))
            assert json.loads(data.removeprefix("data: "))["user_id"] == "9"
            place.app.state.served.stopping.set()
            assert not [line for line in lines if line.startswith("data: ")]


def test_a_stream_ends_when_its_token_is_revoked(place: Place) -> None:
    """Who is no longer let in hears nothing more, also on a connection that was open before."""
    token = place.token("auditor")
    site = place.world.site
    with listening(place) as (host, port):
        address = f"http://{host}:{port}/database/audit/follow"
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.stream("GET", address, headers=headers, timeout=20, trust_env=False) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "retry: 1000"
            revoke_token(site, site.context(actors.operator()), token_id_of(token) or "")
            place.world.configure(9)
            assert not [line for line in lines if '"user_id":"9"' in line]


@pytest.mark.parametrize("moment", [0.02, 0.15])
def test_a_keyed_command_whose_process_is_killed_is_done_once(
    tmp_path: Path, moment: float
) -> None:
    """Killed at any moment, asked again with its key: never two backups, and the answer says so."""
    database = make_database(tmp_path / "app.db", rows=20_000)
    begin(Configuration(database=database), SystemClock())
    site = open_site(Configuration(database=database), "act")
    token, _ = create_token(site, site.context(actors.operator()), "operator")
    site.close()
    key = {"Idempotency-Key": "once", "Authorization": f"Bearer {token}"}
    with serving(tmp_path) as (process, address):
        asking = threading.Thread(target=_ask, args=(f"{address}/backup", key))
        asking.start()
        asking.join(moment)
        process.kill()
        asking.join()
    with serving(tmp_path) as (process, address):
        answer = _ask(f"{address}/backup", key)
        assert answer is not None
        assert answer.status_code in (201, 409), answer.text
        again = _ask(f"{address}/backup", key)
        assert again is not None
        assert again.status_code == answer.status_code
        listed = httpx.get(f"{address}/backups", headers=key, timeout=20, trust_env=False).json()
        if answer.status_code == 201:
            assert listed["count"] == 1
        else:  # killed after it had begun, before or after the copy was there
            assert answer.json()["positions"]
            assert listed["count"] <= 1
        process.terminate()


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as a process, and where it listens."""
    command = [str(PROGRAM), "--database", str(folder / "app.db"), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


def _ask(address: str, headers: dict[str, str]) -> httpx.Response | None:
    """The answer; None where the process ended before it came."""
    with suppress(httpx.TransportError):
        return httpx.post(address, headers=headers, timeout=20, trust_env=False)
    return None


def test_headers_and_bodies_that_do_not_come_are_not_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow client costs a connection for a while, and nothing after it."""
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
    monkeypatch.setattr(route, "BODY_SECONDS", 0.2)
    with listening(place) as (host, port):
        with socket.create_connection((host, port), timeout=20) as half:
            half.sendall(b"GET /health HTTP/1.1\r\nHost: loc")
            assert half.recv(100) == b""
        with socket.create_connection((host, port), timeout=20) as slow:
            slow.sendall(
                b"POST /database/backup HTTP/1.1\r\nHost: localhost\r\n"
                b"Authorization: Bearer " + place.token("operator").encode() + b"\r\n"
                b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        with suppress(OSError), socket.create_connection((host, port), timeout=20) as odd:
            odd.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\nHost: b\r\n\r\n")
            assert odd.recv(1000).split(b" ")[1] in (b"400", b"421")


def test_the_first_start_prints_a_token_once_and_stops_when_it_is_told_to(tmp_path: Path) -> None:
    """On stderr, for an operator; a token made beside it counts at once; SIGTERM: exit code 0."""
    database = make_database(tmp_path / "app.db")
    command = [str(PROGRAM), "--database", str(database)]
    subprocess.run([*command, "ledger", "init"], check=True, capture_output=True)
    with started([*command, "serve", "--port", "0", "--prefix", "/b", "--with-scheduler"]) as (
        process,
        address,
    ):
        assert process.stderr is not None
        token = next(line.strip() for line in process.stderr if line.startswith("blt_"))
        with httpx.Client(base_url=address, trust_env=False, timeout=20) as client:
            assert client.get("/stats").status_code == 401
            operator = {"Authorization": f"Bearer {token}"}
            found = client.get("/scheduler/stats", headers=operator).json()
            assert found["is_running"] is True
            made = subprocess.run(
                [*command, "tokens", "create", "--role", "auditor"],
                check=True,
                capture_output=True,
                text=True,
            )
            auditor = {"Authorization": f"Bearer {made.stdout.splitlines()[-1]}"}
            assert client.get("/stats", headers=auditor).status_code == 200
            assert client.post("/backup", headers=auditor).status_code == 403
            assert client.post("/backup", headers=operator).status_code == 201
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Stopped." in errors
    with started([*command, "serve", "--port", "0"]) as (process, _address):
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert "blt_" not in errors


@contextmanager
def started(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A service as a process, and where it says that it listens."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            found = re.search(r"at (http://127\.0\.0\.1:\d+/\w+)$", first.strip())
            assert found, first
            yield process, found[1]
        finally:
            process.kill()


def test_revoking_every_token_brings_no_first_token_back(place: Place) -> None:
    """Whoever starts the service would let themselves in again, and nobody would see why."""
    site = place.world.site
    context = site.context(actors.operator())
    text = first_token(site, context)
    assert text is not None
    (token,) = TokenBook(site.ledger).all()
    assert (token.role, token.created_by) == ("operator", f"operator {context.actor.id}")
    assert first_token(site, context) is None
    revoke_token(site, context, token.token_id)
    assert first_token(site, context) is None


def test_a_scheduler_that_cannot_run_ends_the_service(place: Place) -> None:
    """Served without the scheduler that was asked for, nobody would notice."""
    served = place.app.state.served
    settings = served.site.configuration.model_copy(update={"notify_urls": ("no such thing",)})
    served.site.configuration = settings
    made = server.make_server(served, port=0, prefix="/database")
    with (
        pytest.raises(InvalidArgument),
        server.listen(made) as at,
        server.scheduler_beside(served.site, made),
    ):
        server.run(made, at)
