"""Connections as uvicorn holds them, with a limit on how long and how many they wait.

uvicorn itself waits without end for a request's headers, and refuses everybody alike once there
are many connections. Here a connection whose headers do not come is closed, and where there are
too many the one that waited longest gives way: first of the address that has more than its share.
So a client that opens connections and says nothing keeps nobody out.

What this leans on of uvicorn and h11 is named in `LEANED_ON`; a test looks for each.
"""

from __future__ import annotations

import asyncio
from ipaddress import IPv6Address, ip_address
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10
MAX_CONNECTIONS = 200
MAX_OF_ADDRESS = 100
LEANED_ON = {
    "H11Protocol": ("connection_made", "data_received", "connection_lost"),
    "instance": ("conn", "transport", "loop", "connections", "client", "cycle"),
    "cycle": ("response_complete",),
    "conn": ("their_state",),
}


class ImpatientProtocol(H11Protocol):
    """A connection that is closed where its headers do not come, or others need its place."""

    _patience: asyncio.TimerHandle | None = None
    waiting_since = 0.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.waiting_since = self.loop.time()
        self._make_room()
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def is_waiting(self) -> bool:
        """No request of it is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def address(self) -> str:
        return address_group(self.client[0] if self.client else "")

    def _make_room(self) -> None:
        """Close the connection that waited longest, where there is one too many."""
        everyone = [each for each in self.connections if isinstance(each, ImpatientProtocol)]
        own = [each for each in everyone if each.address == self.address]
        crowd = own if len(own) > MAX_OF_ADDRESS else everyone
        if crowd is everyone and len(everyone) <= MAX_CONNECTIONS:
            return
        waiting = [each for each in crowd if each.is_waiting and each is not self]
        if waiting:
            min(waiting, key=lambda each: each.waiting_since).transport.close()

    def _wait_for_headers(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._patience is None:
            self._patience = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._patience = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def address_group(address: str) -> str:
    """Who counts as one: an IPv4 address, or the /64 network that one IPv6 customer has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else parsed.exploded[:19]
    return str(parsed)
