"""A served place: a real database and ledger, an application around them, callers of each role."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from commands.audit.keys import make_key
from commands.http import create_app
from commands.site import actors
from commands.upkeep.tokens import create_token
from ledger.clock import SystemClock
from tests.commands.world import World, make_database
from tests.http.in_process import client_of


@dataclass
class Place:
    """The world and the application that serves it."""

    world: World
    app: FastAPI

    def token(self, role: str, user: int | None = None) -> str:
        site = self.world.site
        return create_token(site, site.context(actors.operator()), role, user)[0]

    def client(self, role: str = "operator", user: int | None = None) -> httpx.Client:
        """A client with a token of a role."""
        client = client_of(self.app)
        client.headers["Authorization"] = f"Bearer {self.token(role, user)}"
        return client

    def stranger(self) -> httpx.Client:
        """A client without a token."""
        return client_of(self.app)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """One application on one database with two users' worth of nothing."""
    make_database(tmp_path / "app.db")
    make_key("example.com/backups", tmp_path / "ledger.key")
    world = World(tmp_path, SystemClock(), {"checkpoint_key": tmp_path / "ledger.key"})
    app = create_app(world.open())
    yield Place(world, app)
    app.state.served.close()
    world.close()


def finished(client: httpx.Client, started: Any) -> dict[str, Any]:
    """What a job came to."""
    assert started.status_code == 202, started.text
    job: dict[str, Any] = started.json()
    for _ in range(2000):
        job = client.get(f"/database/jobs/{job['job_id']}").json()
        if job["state"] in ("done", "failed"):
            return job
        time.sleep(0.01)
    raise AssertionError(f"the job does not end: {job}")
