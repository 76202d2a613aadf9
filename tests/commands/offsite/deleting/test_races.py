"""A copy is completed while packs are condemned: whoever is first, no copy loses a pack.

Both go through the ledger's head lock. A copy on a condemned pack is made again without it; packs
that a copy was just completed on are not condemned.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

import pytest

from commands.offsite import copy as copying
from commands.offsite.copy import copy_backup
from commands.offsite.deleting import collect as collecting
from commands.offsite.deleting.collect import collect
from commands.offsite.destinations import find_destination
from commands.offsite.errors import DestinationConflict
from commands.offsite.publish import publish_ledger
from commands.offsite.repository.layout import pack_path
from commands.offsite.worker.jobs import CopyJob, CopyResult
from commands.offsite.worker.send import make_copy
from commands.site import actors
from commands.site.site import Site
from ledger.events.offsite_deletion import PacksCondemned
from projections.folds.backup import Backup
from projections.queries.offsite import condemned_packs
from tests.commands.offsite.deleting.conftest import Deleting
from tests.commands.offsite.repositories import nothing
from tests.commands.world import add_case
from tests.crash.offsite import store_at

ROUNDS = int(os.environ.get("BACKUP_LEDGER_TEST_RACES", "12"))
"""A thousand by hand."""

Made = Callable[[CopyJob, CopyResult], None]


def act(site: Site) -> Any:
    return site.context(actors.operator())


def collected(site: Site) -> None:
    collect(site, act(site), find_destination(site, "nas"))


def made_here(then: Made) -> Callable[..., CopyResult]:
    """What the helper process does, done in this one; then something else, before the commit."""

    def run(job: CopyJob, *_: object) -> CopyResult:
        result = make_copy(store_at(job), job, nothing)
        then(job, result)
        return result

    return run


def leave_an_orphan(deleting: Deleting, monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """A copy that was killed before its commit, long ago: its pack is there, and in the index."""
    there = set(deleting.offsite.objects("packs/"))
    add_case(deleting.offsite.world.database, name + "x" * 300)
    with monkeypatch.context() as patched:

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patched.setattr(copying, "run_copy", made_here(killed))
        backup = deleting.offsite.backup(name)
        with pytest.raises(KeyboardInterrupt):
            deleting.offsite.copy(backup)
    (orphan,) = set(deleting.offsite.objects("packs/")) - there
    collected(deleting.offsite.world.site)  # it is seen
    deleting.offsite.world.advance(hours=25)
    return orphan.rpartition("/")[2]


def condemned(deleting: Deleting) -> set[str]:
    with deleting.offsite.world.site.ledger.engine.connect() as connection:
        return condemned_packs(connection, deleting.offsite.nas.repository_id)


def require_sound(deleting: Deleting) -> None:
    """No copy that counts names a condemned pack."""
    look = collecting.look_at(deleting.offsite.store)
    for copy in deleting.offsite.copies():
        if copy.status == "ok":
            assert not look.named_by(copy) & condemned(deleting)
    deleting.require_restorable()


@pytest.mark.both_databases
def test_condemned_before_the_commit_the_copy_is_made_again_without_it(
    deleting: Deleting, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = leave_an_orphan(deleting, monkeypatch, "one")
    site = deleting.offsite.world.site
    tries: list[list[str]] = []

    def then(_job: CopyJob, result: CopyResult) -> None:
        tries.append(result.pack_names)
        if len(tries) == 1:
            collected(site)

    monkeypatch.setattr(copying, "run_copy", made_here(then))
    (backup,) = deleting.offsite.world.present()
    copy = deleting.offsite.copy(backup)
    assert copy.status == "ok"
    assert [orphan in names for names in tries] == [True, False]
    assert condemned(deleting) == {orphan}
    require_sound(deleting)


@pytest.mark.both_databases
def test_committed_before_the_condemning_the_pack_stays(
    deleting: Deleting, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_an_orphan(deleting, monkeypatch, "one")
    monkeypatch.setattr(copying, "run_copy", made_here(lambda *_: None))
    (backup,) = deleting.offsite.world.present()
    plan, plans = collecting.make_plan, list[int]()

    def planned(*arguments: Any) -> Any:
        made = plan(*arguments)
        plans.append(sum(len(each.packs) for each in made.condemned))
        if len(plans) == 2:  # planned under the claim: now the copy is quicker
            deleting.offsite.copy(backup)
        return made

    with monkeypatch.context() as patched:
        patched.setattr(collecting, "make_plan", planned)
        collected(deleting.offsite.world.site)
    assert plans == [1, 1, 0]
    assert deleting.offsite.world.recorded(PacksCondemned) == []
    require_sound(deleting)


def together(*actions: Callable[[], object], pauses: Sequence[float] = ()) -> list[object]:
    """Run all at once, each after its pause; what each answered, or the error that it raised."""
    at_once = threading.Barrier(len(actions))
    answers: list[object] = [None] * len(actions)

    def run(number: int) -> None:
        at_once.wait()
        threading.Event().wait(pauses[number] if pauses else 0)
        try:
            answers[number] = actions[number]()
        except Exception as error:  # noqa: BLE001  (looked at by whoever asked)
            answers[number] = error

    threads = [threading.Thread(target=run, args=[number]) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def copied(site: Site, backup: Backup) -> str:
    return copy_backup(site, act(site), find_destination(site, "nas"), backup).status


def test_whoever_is_quicker_nothing_is_lost(
    deleting: Deleting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes' worth of sites, started together, again and again."""
    world, random = deleting.offsite.world, Random(7)
    one, other = world.open("act"), world.open("act")
    for number in range(ROUNDS):
        leave_an_orphan(deleting, monkeypatch, f"round-{number}")
        monkeypatch.setattr(copying, "run_copy", made_here(lambda *_: None))
        answers = together(
            partial(copied, one, world.present()[0]),
            partial(collected, other),
            pauses=[random.random() / 50, random.random() / 50],
        )
        assert answers == ["ok", None]
        require_sound(deleting)


@pytest.mark.both_databases
def test_of_two_collectors_one_deletes_and_the_other_says_so(deleting: Deleting) -> None:
    deleting.set(keep=1)
    deleting.copies_made(4)
    deleting.collect()
    deleting.offsite.world.advance(hours=25)
    world = deleting.offsite.world
    answers = together(*(partial(collected, world.open("act")) for _ in range(2)))
    assert None in answers
    assert all(each is None or isinstance(each, DestinationConflict) for each in answers)
    assert deleting.with_status("deleted") == ["backup-01.db", "backup-02.db", "backup-03.db"]
    require_sound(deleting)


@pytest.mark.both_databases
def test_of_two_publishers_the_larger_ledger_stays(deleting: Deleting) -> None:
    world, nas = deleting.offsite.world, deleting.offsite.nas
    answers = together(*(partial(publish_ledger, world.open("act"), nas) for _ in range(2)))
    sizes = [each for each in answers if isinstance(each, int)]
    assert sizes
    assert all(isinstance(each, int | DestinationConflict) for each in answers)
    assert max(sizes) == world.site.ledger.log_recorder.head().size
    assert deleting.offsite.store.head(f"ledger/checkpoints/{max(sizes)}") is not None


def test_a_pack_that_is_deleted_is_not_listed_by_an_old_index_as_there(
    deleting: Deleting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stale listing shows it still: its name is condemned for ever."""
    orphan = leave_an_orphan(deleting, monkeypatch, "one")
    content = deleting.offsite.store.get(pack_path(bytes.fromhex(orphan)))
    collected(deleting.offsite.world.site)
    deleting.offsite.world.advance(hours=25)
    collected(deleting.offsite.world.site)
    path = pack_path(bytes.fromhex(orphan))
    assert deleting.offsite.store.head(path) is None
    deleting.offsite.store.put(path, content)
    (backup,) = deleting.offsite.world.present()
    copy = deleting.offsite.copy(backup)
    assert copy.new_pages == copy.pages
    require_sound(deleting)
