"""Somebody who receives messages, and a world that tells of what happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commands.notifications.notifier import Notifier
from tests.commands.conftest import MakeWorld
from tests.commands.receiver import Receiver, receiving
from tests.commands.world import World


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def told(make_world: MakeWorld, receiver: Receiver) -> World:
    """A world whose operator wants to be told, and has been listening from the beginning."""
    world = make_world(notify_urls=(receiver.target,))
    Notifier(world.site).look()
    return world
