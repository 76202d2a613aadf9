"""Schedulers that are started together are not a herd: each run has one owner, and all are done."""

from __future__ import annotations

import pytest

from tests.chaos.aftermath import (
    Story,
    require_each_slot_once,
    require_folder_is_catalog,
    require_rebuilt_alike,
    require_sound,
)
from tests.chaos.herd import woken_at_once
from tests.commands.conftest import MakeWorld

USERS = 60


def test_all_that_wake_up_at_once_share_the_work(
    make_world: MakeWorld, on_server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who loses a batch drops what it lost and goes on with the next."""
    world = make_world(**on_server)
    for user in range(1, USERS + 1):
        world.configure(user)
    world.due_again()
    told = woken_at_once(world, schedulers=6, batch=10, monkeypatch=monkeypatch)
    assert told["completed"] == USERS == told["tried"] - told["lost"]
    require_sound(world.site.ledger)
    require_rebuilt_alike(world.site)
    require_each_slot_once(Story.of(world.site.ledger), [])
    assert require_folder_is_catalog(world.site) == USERS
