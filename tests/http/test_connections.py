"""Connections that say nothing give way to those that do."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import h11
import httpx
import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from commands.http.middleware import connections
from commands.http.middleware.connections import LEANED_ON, ImpatientProtocol, address_group
from tests.http.conftest import Place
from tests.http.test_server import listening


def test_what_is_leaned_on_of_uvicorn_and_h11_is_there() -> None:
    """A version that renames one of these is noticed here, not by an attacker."""
    for name in LEANED_ON["H11Protocol"]:
        assert callable(getattr(H11Protocol, name))
    config = uvicorn.Config(lambda: None, http=H11Protocol)
    config.load()
    protocol: Any = H11Protocol(config, uvicorn.server.ServerState(), {}, _Loop())
    for name in LEANED_ON["instance"]:
        assert hasattr(protocol, name)
    assert protocol.conn.their_state is h11.IDLE
    assert "response_complete" in RequestResponseCycle.__init__.__code__.co_names


class _Loop:
    """Stands where a protocol keeps its loop; nothing is asked of it."""


def test_who_says_nothing_keeps_nobody_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """More silent connections than there is room for, all of one address: health answers."""
    monkeypatch.setattr(connections, "MAX_OF_ADDRESS", 20)
    with listening(place) as (host, port), ExitStack() as held:
        silent = [
            held.enter_context(socket.create_connection((host, port), timeout=20))
            for _ in range(60)
        ]
        answer = httpx.get(f"http://{host}:{port}/health", timeout=20, trust_env=False)
        assert answer.status_code == 200
        for each in silent[:30]:
            assert each.recv(1) == b""  # the oldest were closed, long before their time


def test_the_address_that_has_most_loses_its_oldest_first() -> None:
    """Others keep theirs; a connection whose request is being answered is left alone."""
    everyone: set[Any] = set()
    for number in range(connections.MAX_OF_ADDRESS + 1):
        everyone.add(_connection("192.0.2.1", number, everyone, is_waiting=number > 2))
    others = [_connection("192.0.2.2", -number, everyone) for number in range(5)]
    everyone.update(others)
    newest = next(each for each in everyone if each.waiting_since == connections.MAX_OF_ADDRESS)
    newest._make_room()
    closed = [each.waiting_since for each in everyone if each.transport.is_closed]
    assert closed == [3]


def _connection(address: str, since: float, among: set[Any], *, is_waiting: bool = True) -> Any:
    """A connection without a socket."""
    made = ImpatientProtocol.__new__(ImpatientProtocol)
    made.client = (address, 1)
    made.waiting_since = since
    made.connections = among
    made.cycle = None if is_waiting else SimpleNamespace(response_complete=False)  # type: ignore[assignment]
    made.transport = _Transport()  # type: ignore[assignment]
    return made


class _Transport:
    is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:0db8:0001:0002"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unix", "unix"),
    ],
)
def test_who_counts_as_one(address: str, group: str) -> None:
    assert address_group(address) == group
