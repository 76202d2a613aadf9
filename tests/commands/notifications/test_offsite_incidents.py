"""People are told of copies that do not get out of the house, and of what is wrong there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.notifications.notifier import Notifier
from commands.offsite.errors import DestinationUnreachable, RepositoryForked
from commands.offsite.verify import verify_copies
from tests.commands.offsite.conftest import MakeOffsite, Offsite, make_offsite
from tests.commands.receiver import Receiver, receiving

__all__ = ["make_offsite"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def told(make_offsite: MakeOffsite, receiver: Receiver) -> Offsite:
    """With a destination, and somebody who wants to be told."""
    offsite = make_offsite(notify_urls=(receiver.target,))
    offsite.add()
    Notifier(offsite.world.site).look()
    return offsite


def bodies(told: Offsite, receiver: Receiver) -> list[str]:
    """What is told now."""
    before = len(receiver.messages)
    Notifier(told.world.site).look()
    return [each["message"] for each in receiver.messages[before:]]


def test_a_destination_that_is_away_is_told_once_it_matters(
    told: Offsite, receiver: Receiver, tmp_path: Path
) -> None:
    """Not each try that fails: after `offsite_overdue_hours`, and once."""
    backup, world = told.backup("one"), told.world
    told.folder.rename(tmp_path / "away")
    with pytest.raises(DestinationUnreachable):
        told.copy(backup)
    assert bodies(told, receiver) == []
    world.advance(hours=49)
    (body,) = bodies(told, receiver)
    assert "1 backup not off-site yet at nas" in body
    world.advance(hours=1)
    assert bodies(told, receiver) == []


def test_a_fork_is_told_at_once(told: Offsite, receiver: Receiver) -> None:
    """Somebody else writes there, or an older ledger was put back."""
    backup = told.backup("one")
    text = told.store.get("repository.json").decode()
    ledger_id = told.world.site.ledger.meta.ledger_id
    other = text.replace(ledger_id, "00000000-0000-4000-8000-000000000001")
    told.store.put("repository.json", other.encode())
    with pytest.raises(RepositoryForked):
        told.copy(backup)
    (body,) = bodies(told, receiver)
    assert "find out who else uses it" in body


@pytest.mark.slow
def test_a_damaged_copy_is_told(told: Offsite, receiver: Receiver) -> None:
    told.copy(told.backup("one"))
    (pack,) = told.objects("packs/")
    content = told.store.get(pack)
    told.store.put(pack, content[:-1] + bytes([content[-1] ^ 1]))
    world = told.world
    list(verify_copies(world.site, world.context(), told.nas, "digest"))
    (body,) = bodies(told, receiver)
    assert "1 pack of an off-site destination damaged" in body
    assert "offsite repair" in body
