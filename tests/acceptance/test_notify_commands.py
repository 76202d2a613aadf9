"""backup-ledger notify, as a person types it."""

from __future__ import annotations

from tests.acceptance.place import Place
from tests.commands.receiver import receiving


def test_a_test_message_is_sent_to_each_target(place: Place) -> None:
    """And a target that does not answer makes the exit code 1."""
    place.done("settings", "set", "1")
    with receiving() as receiver:
        targets = f'["{receiver.target}"]'
        said = place.done("notify", "test", BACKUP_LEDGER_NOTIFY_URLS=targets)
        assert "1 target of 1 accepted the message" in said.out
        assert "a test" in receiver.titles[0]
        receiver.status = 500
        failed = place.run("notify", "test", "--json", BACKUP_LEDGER_NOTIFY_URLS=targets)
    assert failed.code == 1
    assert failed.json["targets"] == 1
    reason = failed.json["failed"]["target 1 (json)"]
    assert reason.startswith("NotDelivered: ")
    assert "500" in reason
    assert "secret-of-ada" not in reason


def test_without_targets_it_says_how_to_set_one(place: Place) -> None:
    """Exit code 2: nothing was configured."""
    place.done("settings", "set", "1")
    ended = place.run("notify", "test")
    assert ended.code == 2
    assert "notify_urls" in ended.err


def test_a_preview_without_news_says_so(place: Place) -> None:
    """Nothing went wrong, and nobody is told."""
    place.done("settings", "set", "1")
    assert "nothing to send" in place.done("notify", "preview").out
    assert place.done("notify", "preview", "--json").json is None
