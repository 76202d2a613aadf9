"""People are told, once; what was told is recorded; and no backup waits for it."""

from __future__ import annotations

import logging
from threading import Barrier, Event, Thread

import pytest

from commands.backups.take import take_backup
from commands.errors import InvalidArgument
from commands.notifications.incident import Incident
from commands.notifications.incidents import message_of
from commands.notifications.notifier import Notifier
from commands.scheduler.process import run_scheduler
from commands.verification.verify import verify_backup
from ledger.events.housekeeping import (
    NotificationFailed,
    NotificationQueued,
    NotificationSent,
)
from tests.commands.conftest import MakeWorld
from tests.commands.receiver import Receiver, receiving
from tests.commands.world import World, break_database, fill_cases


def fail_for_good(world: World, *users: int) -> None:
    """Every try of these users' runs fails, down to the last."""
    for user in users:
        world.configure(user)
    break_database(world.database)
    for user in users:
        world.due_again(user)
    for _attempt in range(7):
        world.check()
        world.advance(hours=1)


def lose_a_backup(world: World, name: str) -> None:
    """Somebody removed a file, and it is noticed."""
    from commands.recovery.reconcile import reconcile  # noqa: PLC0415

    backup = take_backup(world.site, world.context(), filename=name)
    (world.backups / backup.filename).unlink()
    reconcile(world.site, world.context())


def test_nothing_is_told_of_what_came_before(make_world: MakeWorld, receiver: Receiver) -> None:
    """Who asks to be told today gets no flood of old news."""
    world = make_world(notify_urls=(receiver.target,))
    lose_a_backup(world, "early")
    notifier = Notifier(world.site)
    notifier.look()
    notifier.look()
    assert receiver.messages == []
    lose_a_backup(world, "late")
    notifier.look()
    assert ["late.db" in each["message"] for each in receiver.messages] == [True]
    assert "early.db" not in receiver.messages[0]["message"]


@pytest.mark.slow
def test_a_failure_is_told_after_the_last_retry_and_once(told: World, receiver: Receiver) -> None:
    """Five retries pass in silence; then one message names the user and what to do."""
    fail_for_good(told, 1)
    notifier = Notifier(told.site)
    notifier.look()
    notifier.look()
    Notifier(told.site).look()
    (message,) = receiver.messages
    assert "1 failed after every retry" in message["title"]
    assert "user 1" in message["message"]
    assert "failed 6 times" in message["message"]
    assert "backup-ledger audit history schedule/1" in message["message"]
    assert [each.targets for each in told.recorded(NotificationSent)] == [1]


@pytest.mark.slow
def test_a_scheduled_backup_with_a_warning_is_told_once(told: World, receiver: Receiver) -> None:
    """Of a collapse with the way to accept it; two users share the file, and the message."""
    fill_cases(told.database, 300)
    for user in (1, 2):
        told.configure(user)
    told.due_again()
    assert told.check().completed == 2
    fill_cases(told.database, 0)
    told.due_again()
    assert told.check().completed == 2
    notifier = Notifier(told.site)
    notifier.look()
    notifier.look()
    (message,) = receiver.messages
    assert "1 made with a warning" in message["title"]
    assert message["message"].count("rows fell from 300 to 0") == 1
    assert "backup-ledger backup accept auto_backup_user1_" in message["message"]
    take_backup(told.site, told.context(), filename="by-hand")
    notifier.look()
    assert len(receiver.messages) == 1, "who takes one by hand reads the warning there"


@pytest.mark.slow
def test_what_came_together_is_one_message(told: World, receiver: Receiver) -> None:
    """A herd of failures is counted, and the first ten are named."""
    fail_for_good(told, *range(1, 15))
    Notifier(told.site).look()
    (message,) = receiver.messages
    assert "14 failed after every retry" in message["title"]
    assert message["message"].count("failed 6 times") == 10
    assert "and 4 more" in message["message"]


def test_a_target_that_is_down_is_tried_again(told: World, receiver: Receiver) -> None:
    """After a minute, then ever more slowly; each try is recorded, and so is the success."""
    notifier = Notifier(told.site)
    lose_a_backup(told, "gone")
    receiver.status = 503
    notifier.look()
    assert len(told.recorded(NotificationFailed)) == 1
    notifier.look()
    assert len(told.recorded(NotificationFailed)) == 1, "it is not time yet"
    told.advance(minutes=1)
    notifier.look()
    assert [each.attempt for each in told.recorded(NotificationFailed)] == [1, 2]
    receiver.status = 200
    told.advance(minutes=5)
    notifier.look()
    assert [each.attempt for each in told.recorded(NotificationSent)] == [3]
    assert "gone.db" in receiver.messages[0]["message"]


@pytest.mark.slow
def test_a_target_that_stays_down_is_given_up(told: World, receiver: Receiver) -> None:
    """After the fifth try; later things are told all the same."""
    notifier = Notifier(told.site)
    lose_a_backup(told, "gone")
    receiver.status = 500
    for _try in range(10):
        notifier.look()
        told.advance(hours=2)
    assert [each.attempt for each in told.recorded(NotificationFailed)] == [1, 2, 3, 4, 5]
    receiver.status = 200
    notifier.look()
    assert receiver.messages == []
    lose_a_backup(told, "later")
    notifier.look()
    assert "later.db" in receiver.messages[0]["message"]


def test_a_sender_that_was_killed_is_replaced(told: World, receiver: Receiver) -> None:
    """A message that was claimed and has no outcome is sent by whoever finds it."""
    lose_a_backup(told, "gone")
    killed = Notifier(told.site)
    killed._send = lambda *_: {}  # type: ignore[method-assign]  # it never comes to sending
    killed.look()
    other = Notifier(told.site)
    told.advance(minutes=4)
    other.look()
    assert receiver.messages == [], "its sender may still be at it"
    told.advance(minutes=1)
    other.look()
    assert "gone.db" in receiver.messages[0]["message"]
    assert [each.attempt for each in told.recorded(NotificationSent)] == [2]


def test_two_notifiers_at_once_tell_once(told: World, receiver: Receiver) -> None:
    """The claim is made under the head lock."""
    lose_a_backup(told, "gone")
    barrier = Barrier(4)

    def look() -> None:
        notifier = Notifier(told.site)
        barrier.wait()
        notifier.look()

    threads = [Thread(target=look) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(receiver.messages) == 1
    assert len(told.recorded(NotificationSent)) == 1


def test_an_overdue_run_is_told_once(told: World, receiver: Receiver) -> None:
    """No scheduler runs; whoever looks notices, and says so once for each slot."""
    told.configure(1)
    notifier = Notifier(told.site)
    told.due_again()
    told.advance(hours=1, minutes=59)
    notifier.look()
    assert receiver.messages == []
    told.advance(minutes=1)
    for _look in range(3):
        notifier.look()
        told.advance(hours=3)
    assert ["1 overdue" in each for each in receiver.titles] == [True]
    told.check()
    told.due_again()
    told.advance(hours=2)
    notifier.look()
    assert len(receiver.messages) == 2


def test_low_space_is_told_once_a_day(make_world: MakeWorld, receiver: Receiver) -> None:
    """A limit that no disk meets makes every disk too small."""
    world = make_world(notify_urls=(receiver.target,), low_space_mb=10**12)
    notifier = Notifier(world.site)
    for _hour in range(26):
        notifier.look()
        world.advance(hours=1)
    assert ["little space" in each for each in receiver.titles] == [True, True]


def test_topics_that_nobody_wants_are_not_told(make_world: MakeWorld, receiver: Receiver) -> None:
    world = make_world(notify_urls=(receiver.target,), notify_topics=("corrupt",))
    notifier = Notifier(world.site)
    notifier.look()
    lose_a_backup(world, "gone")
    notifier.look()
    assert receiver.messages == []


def test_no_secret_of_a_target_is_logged_or_recorded(
    told: World, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Addresses hold passwords."""
    caplog.set_level(logging.DEBUG)
    receiver.status = 500
    lose_a_backup(told, "gone")
    Notifier(told.site).look()
    records = b"".join(row.record for row in told.site.ledger.records())
    assert b"target 1 (json)" in records
    assert b"secret-of-ada" not in records
    assert not [each for each in caplog.records if "secret-of-ada" in each.getMessage()]


@pytest.mark.parametrize("url", ["nonsense", "nonsense://there", "", "json://"])
def test_an_address_that_is_none_is_an_error_at_the_start(make_world: MakeWorld, url: str) -> None:
    """Not at three in the morning; and it is not repeated, for it may hold a secret."""
    world = make_world(notify_urls=("json://127.0.0.1/", url))
    with pytest.raises(InvalidArgument, match=r"target 2"):
        Notifier(world.site)


def test_a_check_pings_its_beginning_and_its_end(make_world: MakeWorld, receiver: Receiver) -> None:
    """An outside watchman notices when they stay away."""
    world = make_world(
        ping_start_url=receiver.url("begin"),
        ping_success_url=receiver.url("well"),
        ping_failure_url=receiver.url("badly"),
    )
    world.configure(1)
    run_scheduler(world.site, once=True, stop=Event())
    break_database(world.database)
    world.due_again()
    run_scheduler(world.site, once=True, stop=Event())
    assert receiver.pings == ["begin", "well", "begin", "badly"]


def test_a_target_that_hangs_delays_no_backup(make_world: MakeWorld, receiver: Receiver) -> None:
    """The check is over while the first ping still waits for its answer."""
    receiver.hold = Event()
    world = make_world(ping_start_url=receiver.url("begin"))
    world.configure(1)
    world.due_again()
    finished: list[int] = []

    def on_check(report: object) -> None:
        del report
        finished.append(len(world.present(1)))
        assert receiver.hold is not None
        receiver.hold.set()

    run_scheduler(world.site, once=True, stop=Event(), on_check=on_check)
    assert finished == [1]
    assert receiver.pings == ["begin"]


def test_a_test_message_reaches_every_target(told: World, receiver: Receiver) -> None:
    """And says where it did not."""
    assert Notifier(told.site).test() == {}
    assert "a test" in receiver.titles[0]
    receiver.status = 500
    assert list(Notifier(told.site).test()) == ["target 1 (json)"]


def test_a_preview_sends_and_records_nothing(told: World, receiver: Receiver) -> None:
    lose_a_backup(told, "gone")
    before = len(told.all_events())
    message = Notifier(told.site).preview()
    assert message is not None
    assert "gone.db" in message.body
    assert "move it back, then: backup-ledger backup reconcile" in message.body
    assert (len(told.all_events()), receiver.messages) == (before, [])


def test_a_missing_backup_is_not_named_as_damaged_too() -> None:
    """Whoever verifies a file that is gone finds both."""
    gone = Incident("missing", "one.db is gone", "look", "/backups/one.db")
    same = Incident("corrupt", "one.db is damaged", "look", "/backups/one.db")
    other = Incident("corrupt", "two.db is damaged", "look", "/backups/two.db")
    message = message_of([gone, same, other], "app.db")
    assert message.title == "Backups of app.db: 1 missing from the folder, 1 found damaged"
    assert "one.db is damaged" not in message.body


def test_its_own_events_are_no_news(told: World, receiver: Receiver) -> None:
    """Otherwise a target that is down would be told of for ever."""
    receiver.status = 500
    lose_a_backup(told, "gone")
    notifier = Notifier(told.site)
    notifier.look()
    receiver.status = 200
    told.advance(minutes=2)
    notifier.look()
    notifier.look()
    assert len(receiver.messages) == 1
    assert len(told.recorded(NotificationQueued)) == 3  # the beginning, and two tries
    told.advance(days=1)
    notifier.look()
    assert len(receiver.messages) == 1


def test_a_target_that_failed_is_tried_again_alone(
    make_world: MakeWorld, receiver: Receiver
) -> None:
    """Whoever took the message is not told twice; the ledger says who did not, and why."""
    with receiving() as other:
        world = make_world(notify_urls=(receiver.target, other.target))
        notifier = Notifier(world.site)
        notifier.look()
        other.status = 503
        lose_a_backup(world, "gone")
        notifier.look()
        (failed,) = world.recorded(NotificationFailed)
        assert (failed.failed_targets, failed.error_type) == (["target 2 (json)"], "NotDelivered")
        (event,) = world.events_of(NotificationFailed)
        assert event.error_message.startswith("not taken by target 2 (json): NotDelivered: ")
        assert "503" in event.error_message
        other.status = 200
        world.advance(minutes=2)
        Notifier(world.site).look()
        assert (len(receiver.messages), len(other.messages)) == (1, 1)
        assert [each.targets for each in world.recorded(NotificationSent)] == [1]


def test_a_message_names_the_file_and_its_page(make_world: MakeWorld, receiver: Receiver) -> None:
    """User, size, age, what to do, a link; and the type by which services show urgency."""
    world = make_world(notify_urls=(receiver.target,), console_url="https://backups.example/")
    Notifier(world.site).look()
    backup = take_backup(world.site, world.context(), filename="first", user_id=7)
    (world.backups / "first.db").write_bytes(b"spoiled")
    verify_backup(world.site, world.context(), backup, "digest")
    Notifier(world.site).look()
    (message,) = receiver.messages
    assert message["type"] == "failure"
    assert "first.db is damaged" in message["message"]
    assert "(of user 7, " in message["message"]
    assert ", made 2025-01-01 00:00 UTC)" in message["message"]
    assert "https://backups.example/console/backups/first.db" in message["message"]
