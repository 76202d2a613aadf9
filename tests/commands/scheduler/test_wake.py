"""Schedulers on a server need not wait for their next check: an append wakes them."""

from __future__ import annotations

import threading

import pytest

from commands.scheduler.wake import Waker
from ledger.append.backend import backend_of
from tests.commands.world import World

TRIES = 60


@pytest.mark.both_databases
def test_an_append_that_makes_work_due_ends_the_wait(world: World) -> None:
    """On a server at once; in files nobody tells, and the interval ends it."""
    world.configure(1)
    waiting, stop, done = world.open("act"), threading.Event(), threading.Event()
    is_server = backend_of(waiting.ledger.engine).notifies
    with Waker(waiting, stop) as alarm:

        def wait() -> None:
            alarm.wait(3_600.0 if is_server else 0.01)
            done.set()

        thread = threading.Thread(target=wait)
        thread.start()
        world.due_again()
        for number in range(TRIES):  # it may not listen yet
            world.configure(2, keep_count=number + 1)
            if done.wait(0.5):
                break
        assert done.is_set()
        stop.set()
        thread.join()


@pytest.mark.both_databases
def test_a_stop_ends_the_wait(world: World) -> None:
    """Whether or not anything is due."""
    stop = threading.Event()
    with Waker(world.open(), stop) as alarm:
        thread = threading.Thread(target=alarm.wait, args=(3_600.0,))
        thread.start()
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
