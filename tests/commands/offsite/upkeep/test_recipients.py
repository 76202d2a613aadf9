"""Changing who can read: proved first, sent anew, and never so that a copy is lost to everybody."""

from __future__ import annotations

import pytest

from commands.offsite.errors import DestinationRefused, RecipientNeeded, WrongKey
from commands.offsite.repository.layout import REPOSITORY, fingerprint, parse_repository
from commands.offsite.repository.seal import new_identity, recipient_of
from commands.offsite.upkeep.recipients import add_recipient, remove_recipient
from ledger.events.offsite_deletion import RecipientsChanged
from projections.folds.offsite_copy import OffsiteCopy
from tests.commands.offsite.conftest import IDENTITIES, RECIPIENTS, Offsite

THIRD = new_identity()


def add(offsite: Offsite, identity: str = THIRD) -> list[str]:
    world = offsite.world
    recipient = recipient_of(identity)
    return add_recipient(world.site, world.context(), offsite.nas, recipient, identities=[identity])


def remove(offsite: Offsite, recipient: str, *, force: bool = False) -> list[str]:
    world = offsite.world
    return remove_recipient(world.site, world.context(), offsite.nas, recipient, force=force)


def newest(offsite: Offsite) -> OffsiteCopy:
    return offsite.copies()[-1]


def test_after_an_addition_the_next_copy_is_sent_whole_for_the_new_one_to_read(
    offsite: Offsite,
) -> None:
    offsite.copy(offsite.backup("one"))
    assert add(offsite) == [*RECIPIENTS, recipient_of(THIRD)]
    copy = offsite.copy(offsite.backup("two"))
    assert copy.new_pages == copy.pages
    assert copy.readable_by == [*RECIPIENTS, recipient_of(THIRD)]
    third = offsite.copy(offsite.backup("three"))
    assert third.new_pages == 0


def test_the_repository_names_the_new_one_by_its_fingerprint_alone(offsite: Offsite) -> None:
    add(offsite)
    content = offsite.store.get(REPOSITORY)
    about = parse_repository(content, "it")
    assert fingerprint(about.salt, recipient_of(THIRD)) in about.recipients
    assert len(about.recipients) == 3
    assert recipient_of(THIRD).encode() not in content


def test_a_recipient_is_proved_before_anything_is_encrypted_to_it(offsite: Offsite) -> None:
    world = offsite.world
    with pytest.raises(WrongKey, match="was not proved"):
        add_recipient(
            world.site,
            world.context(),
            offsite.nas,
            recipient_of(THIRD),
            identities=[IDENTITIES[0]],
        )
    assert offsite.nas.recipients == list(RECIPIENTS)
    assert offsite.objects("probe/") == []


def test_one_that_is_there_or_is_not_changes_nothing(offsite: Offsite) -> None:
    with pytest.raises(DestinationRefused, match="already"):
        add(offsite, IDENTITIES[0])
    with pytest.raises(DestinationRefused, match="is not a recipient"):
        remove(offsite, recipient_of(THIRD))
    assert offsite.world.recorded(RecipientsChanged) == []


def test_one_goes_once_the_others_can_read_the_newest_copy_of_each_source(
    offsite: Offsite,
) -> None:
    """Rotation: add, copy, remove. In between the old one is needed."""
    offsite.copy(offsite.backup("one"))
    add(offsite)
    with pytest.raises(RecipientNeeded, match=r"one\.db, cannot be read by"):
        remove(offsite, RECIPIENTS[0])
    offsite.copy(offsite.backup("two"))
    assert remove(offsite, RECIPIENTS[0]) == [RECIPIENTS[1], recipient_of(THIRD)]
    after = offsite.copy(offsite.backup("three"))
    assert after.readable_by == [RECIPIENTS[1], recipient_of(THIRD)]
    assert [each.forced for each in offsite.world.recorded(RecipientsChanged)] == [False, False]


def test_what_only_one_can_read_is_lost_by_force_alone_and_that_is_recorded(
    offsite: Offsite,
) -> None:
    offsite.copy(offsite.backup("one"))
    with pytest.raises(RecipientNeeded, match="would be the only recipient"):
        remove(offsite, RECIPIENTS[0])
    assert remove(offsite, RECIPIENTS[0], force=True) == [RECIPIENTS[1]]
    offsite.copy(offsite.backup("two"))
    add(offsite)
    with pytest.raises(RecipientNeeded, match=r"only .* can read the copy of one\.db"):
        remove(offsite, RECIPIENTS[1])
    remove(offsite, RECIPIENTS[1], force=True)
    with pytest.raises(DestinationRefused, match="only recipient"):
        remove(offsite, recipient_of(THIRD), force=True)
    assert [each.forced for each in offsite.world.recorded(RecipientsChanged)] == [
        True,
        False,
        True,
    ]
