"""What can be erased, what has to wait, and what of older records can still be guessed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from commands.backups.delete import delete_backup
from commands.backups.hold import place_hold
from commands.backups.take import take_backup
from commands.erasure.find import Person
from commands.erasure.redact import Wanted, erase, plan_of
from commands.errors import CommandError, InvalidArgument
from ledger.append.ledger import Draft
from ledger.events.catalog import BackupCreated, HoldPlaced
from ledger.events.housekeeping import RecordRedacted
from ledger.events.restoring import RestoreCompleted, RestoreStarted
from ledger.records.record import Actor, Event
from ledger.vocabulary import restore_stream
from tests.commands.erasure.office import ANNA, erase_all, fill
from tests.commands.world import World, make_database
from tests.sample_events import RESTORE, sample
from tests.schema_changes.office import ADA, office

GOLDEN = Path(__file__).parents[2] / "golden" / "0.1.0"


def wanted(*positions: int, reason: str = "typo") -> Wanted:
    return Wanted.checked(reason, "IT-4", positions)


def test_a_backup_that_is_there_keeps_its_record_and_its_name(world: World) -> None:
    """It is deleted first; then its name goes from all of its records."""
    backup = take_backup(world.site, world.site.context(ANNA), filename="file-of-anna.db")
    with pytest.raises(InvalidArgument, match=r"file-of-anna\.db is not deleted yet"):
        plan_of(world.site, wanted(backup.position))
    done = erase_all(world.site, Person(actor=ANNA.id))
    assert [each.why for each in done.plan.left] == [
        "the backup file-of-anna.db is not deleted yet; delete it first"
    ]
    delete_backup(world.site, world.context(), backup.filename)
    assert erase_all(world.site, Person(actor=ANNA.id)).plan.left == ()
    (created,) = world.recorded(BackupCreated)
    assert created.filename == f"erased-{backup.backup_id}.db"


def test_a_restore_that_is_not_over_is_worked_with(world: World) -> None:
    """Recovery needs to read it; afterwards it can go."""
    site = world.site
    stream = restore_stream(RESTORE)
    (started,) = site.ledger.append(site.context(ANNA), Draft(stream, sample(RestoreStarted)))
    with pytest.raises(InvalidArgument, match="not over yet"):
        plan_of(site, wanted(started.position))
    site.ledger.append(site.context(ANNA), Draft(stream, sample(RestoreCompleted)))
    assert plan_of(site, wanted(started.position)).positions == (started.position,)


def test_a_record_of_which_too_much_must_be_kept_is_refused(world: World) -> None:
    """Before anything changes: what has to stay would not fit into one record."""
    site = world.site
    held = take_backup(site, world.context(), filename="held.db")
    place_hold(site, site.context(ANNA), held.filename, "said-by-anna")
    position = site.ledger.log_recorder.head().size
    too_long = Wanted("x" * 65_000, "IT-4", (position,))
    with pytest.raises(InvalidArgument, match="more than a record can hold"):
        plan_of(site, too_long)
    assert site.ledger.log_recorder.head().size == position


def test_a_plan_that_is_no_longer_so_is_not_carried_out(world: World) -> None:
    """Somebody acted meanwhile: all of it is looked at again, by the person who asks."""
    fill(world)
    site = world.site
    everything = Wanted.checked("article 17", "DSR-1", person=Person(actor=ANNA.id))
    plan = plan_of(site, everything)
    place_hold(site, site.context(ANNA), world.present()[0].filename, "one more")
    with pytest.raises(CommandError, match="ledger has changed"):
        erase(site, world.context(), everything, plan)
    assert world.recorded(RecordRedacted) == []
    assert world.recorded(HoldPlaced)[-1].reason == "one more"


@pytest.fixture
def old_folder(tmp_path: Path) -> Path:
    """A folder that 0.1.0 wrote."""
    folder = tmp_path / "old"
    (folder / "backups").mkdir(parents=True)
    for name in ("ledger.sqlite", "projections.sqlite"):
        shutil.copy(GOLDEN / name, folder / "backups" / name)
    shutil.copy(GOLDEN / "store", folder / "backups" / ".store")
    make_database(folder / "app.db", users=4)
    return folder


@pytest.mark.slow
def test_of_older_records_a_guess_can_be_confirmed_where_their_id_is_known(
    old_folder: Path,
) -> None:
    """They have no nonce; an id that stands nowhere else is as good as one."""
    with office(old_folder) as site:
        events = {each.position: each.event for each in site.ledger.recorded()}
        causes = {each.causation_id for each in events.values()}
        done = erase_all(site, Person(actor=ADA.id))
        assert done.redactions
        for each in done.plan.erasable:
            assert each.event.details.nonce is None
            is_known = each.event.event_id in causes or any(
                each.event.event_id in json.dumps(other.model_dump(mode="json"))
                for position, other in events.items()
                if position != each.row.position
            )
            assert each.guessable == is_known
        said = {
            each.event.details.position: each.event.details.guessable
            for each in site.ledger.recorded()
            if isinstance(each.event.details, RecordRedacted)
        }
        assert said == {each.row.position: each.guessable for each in done.plan.erasable}


@pytest.mark.parametrize(
    ("person", "actor", "acted"),
    [
        (Person(actor="anna"), Actor(id="anna", kind="operator"), True),
        (Person(actor="anna"), Actor(id="root (login: anna)", kind="operator"), True),
        (Person(actor="anna"), Actor(id="anna (login: bob)", kind="operator"), True),
        (Person(actor="anna"), Actor(id="joanna", kind="operator"), False),
        (Person(actor="anna"), Actor(id="anna", kind="scheduler"), False),
        (Person(actor="backup-ledger"), Actor(id="backup-ledger", kind="system"), False),
        (Person(user=7), Actor(id="7", kind="user"), True),
        (Person(user=7), Actor(id="7", kind="operator"), False),
        (Person(user=7), Actor(id="77", kind="user"), False),
    ],
)
def test_who_acted(world: World, person: Person, actor: Actor, *, acted: bool) -> None:
    """By the whole name, of people only; an operator's may say who logged in as another one."""
    site = world.site
    backup = take_backup(site, world.context())
    place_hold(site, site.context(actor), backup.filename, "a reason")
    event: Event = world.events_of(HoldPlaced)[-1]
    assert person.acted(event) == acted
