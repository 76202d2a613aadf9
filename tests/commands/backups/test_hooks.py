"""Hooks: told the facts, limited in time, recorded where they fail; the backup goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from commands.backups.take import take_backup
from commands.sqlite.errors import NotADatabase
from ledger.events.housekeeping import HookFailed
from tests.commands.conftest import MakeWorld
from tests.commands.world import World, break_database

TELL = 'echo "$BACKUP_LEDGER_HOOK_EVENT|$BACKUP_LEDGER_HOOK_{}" >> {}'


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def told(tmp_path: Path, *names: str) -> dict[str, object]:
    """A world's options with three hooks that write down what they are told."""
    out = tmp_path / "told"
    return {
        f"hook_{event}": "; ".join(TELL.format(name, out) for name in names)
        for event in ("before", "after", "failure")
    }


def test_hooks_around_a_backup_know_the_file(make_world: MakeWorld, tmp_path: Path) -> None:
    """Before it there is none; after it, it is there with its digest."""
    world = make_world(**told(tmp_path, "KIND", "FILEPATH", "SHA256"))
    backup = take_backup(world.site, world.context(), filename="first.db")
    path = world.backups / "first.db"
    assert lines(tmp_path / "told") == [
        *("before|manual", "before|", "before|"),
        *("after|manual", f"after|{path}", f"after|{backup.sha256}"),
    ]
    assert world.recorded(HookFailed) == []


def test_a_herd_has_one_snapshot_and_one_hook(make_world: MakeWorld, tmp_path: Path) -> None:
    """Which names all users."""
    world = make_world(**told(tmp_path, "USERS", "KIND"))
    for user_id in (1, 2, 3):
        world.configure(user_id)
    world.due_again()
    assert world.check().completed == 3
    scheduled = ["before|1,2,3", "before|scheduled", "after|1,2,3", "after|scheduled"]
    assert lines(tmp_path / "told") == scheduled


def test_a_failed_backup_says_why(make_world: MakeWorld, tmp_path: Path) -> None:
    """One by hand, and a scheduled one."""
    world = make_world(**told(tmp_path, "ERROR_TYPE"))
    world.configure(1)
    world.due_again()
    break_database(world.database)
    with pytest.raises(NotADatabase):
        take_backup(world.site, world.context())
    assert world.check().failed == 1
    assert lines(tmp_path / "told") == ["before|", "failure|NotADatabase"] * 2


def test_a_hook_that_fails_is_recorded_with_what_it_said(make_world: MakeWorld) -> None:
    """The output is cut; the backup is there all the same."""
    world = make_world(hook_before="head -c 10000 /dev/zero | tr '\\0' 'x'; exit 3")
    take_backup(world.site, world.context(), filename="first.db")
    (failed,) = world.recorded(HookFailed)
    assert (failed.hook, failed.exit_code, len(failed.output)) == ("hook_before", 3, 4096)
    (event,) = world.events_of(HookFailed)
    assert event.error_message == "it ended with exit code 3"


@pytest.mark.slow
def test_a_hook_ends_in_time_with_its_children(make_world: MakeWorld, tmp_path: Path) -> None:
    """One that hangs keeps nobody waiting, and leaves nothing behind that writes later."""
    late = tmp_path / "late"
    world = make_world(hook_after=f"(sleep 1; touch {late}) & sleep 60", hook_seconds=0.3)
    started = time.monotonic()
    take_backup(world.site, world.context(), filename="first.db")
    assert time.monotonic() - started < 30
    (failed,) = world.recorded(HookFailed)
    assert (failed.hook, failed.exit_code) == ("hook_after", None)
    time.sleep(1.2)
    assert not late.exists()


def test_without_hooks_nothing_is_run(world: World) -> None:
    take_backup(world.site, world.context())
    assert world.recorded(HookFailed) == []
