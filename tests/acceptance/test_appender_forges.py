"""Attacks by a login that may only append: what the server refuses, and what it cannot stop."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from sqlalchemy.engine import make_url

from ledger.append.database import database_url, open_engine
from ledger.append.ledger import Ledger
from ledger.clock import ManualClock, SystemClock
from tests.acceptance.place import Place
from tests.acceptance.test_ledger_places import Logins, on
from tests.acceptance.test_ledger_places import logins as logins  # noqa: PLC0414  (the fixture)
from tests.ledger.tampering import append_some
from tests.postgresql_server import Server

ZEROS = "decode(repeat('00', 32), 'hex')"
ANY_EVENT = (
    "INSERT INTO ledger_events SELECT max(position) + 1, 'x', 1, 'x', '{}', "
    "sha256('\\x00'::bytea || '{}'), 0 FROM ledger_events"
)
REFUSED = {
    "an event that the head does not count": ANY_EVENT,
    "a leaf that is not of its record": (
        f"INSERT INTO ledger_events SELECT max(position) + 1, 'x', 1, 'x', '{{}}', {ZEROS}, 0 "
        "FROM ledger_events"
    ),
    "an event without its record": (
        f"INSERT INTO ledger_events SELECT max(position) + 1, 'x', 1, 'x', NULL, {ZEROS}, 0 "
        "FROM ledger_events"
    ),
    "a head of a smaller size": "UPDATE ledger_head SET size = size - 1",
    "a head of a larger size": "UPDATE ledger_head SET size = size + 1",
    "another root": f"UPDATE ledger_head SET root = {ZEROS}",
    "another frontier": "UPDATE ledger_head SET frontier = frontier || frontier",
    "no frontier": "UPDATE ledger_head SET frontier = ''",
    "another time": "UPDATE ledger_head SET recorded_at = recorded_at + 1",
    "another head": "UPDATE ledger_head SET id = 2",
    "a node of the future": f"INSERT INTO ledger_nodes VALUES (8, 9, {ZEROS})",
    "a small node": f"INSERT INTO ledger_nodes VALUES (7, 0, {ZEROS})",
    "a huge node": f"INSERT INTO ledger_nodes VALUES (63, 0, {ZEROS})",
    "a negative node": f"INSERT INTO ledger_nodes VALUES (8, -1, {ZEROS})",
    "a checkpoint of the future": (
        "INSERT INTO ledger_checkpoints (size, note, created_at) "
        "VALUES (4611686018427387904, 'x', 0)"
    ),
    "a checkpoint that is none": (
        "INSERT INTO ledger_checkpoints (size, note, created_at) SELECT size, 'x', 0 "
        "FROM ledger_head"
    ),
    "a checkpoint of another root": (
        "INSERT INTO ledger_checkpoints (size, note, created_at) SELECT size, "
        f"convert_to(E'example/log\\n' || size || E'\\n' || encode({ZEROS}, 'base64') "
        "|| E'\\n\\n', 'UTF8'), 0 FROM ledger_head"
    ),
}
FORGED_CHECKPOINT = (
    "INSERT INTO ledger_checkpoints (size, note, created_at) SELECT size, convert_to("
    "E'example/log\\n' || size || E'\\n' || encode(root, 'base64') || E'\\n\\n\\u2014 example/log "
    "{signature}\\n', 'UTF8'), 0 FROM ledger_head"
)


def attempt(url: str, *statements: str) -> None:
    """In one transaction, as a login."""
    with closing(psycopg.connect(url)) as connection:
        connection.execute("SET search_path TO public")
        for statement in statements:
            connection.execute(statement.encode())
        connection.commit()


@pytest.fixture
def grown(place: Place, logins: Logins) -> Logins:
    """A ledger with a stored node, appended to by the appender."""
    clock = ManualClock(datetime.now(UTC) - timedelta(days=1))
    ledger = Ledger(open_engine(database_url(logins.appender)), clock)
    append_some(ledger, clock, 300)
    ledger.close()
    return logins


def test_the_server_refuses_what_would_not_fit(grown: Logins, place: Place) -> None:
    """And everybody goes on appending, signing and verifying."""
    for number, (what, statement) in enumerate(REFUSED.items(), 1):
        with pytest.raises(psycopg.Error, match="ledger_") as refused:
            attempt(grown.appender, statement)
        assert refused, what
        on(grown.appender, place, "settings", "set", str(number))
    assert on(grown.admin, place, "audit", "verify").code == 0


def test_a_head_is_refused_whose_nodes_are_not_there(grown: Logins) -> None:
    """Whoever completes a tile stores the node of it, and the true one."""
    with closing(psycopg.connect(grown.admin)) as connection:
        (size,) = connection.execute("SELECT size FROM public.ledger_head").fetchone() or (0,)
    missing = 512 - size
    many = (
        "INSERT INTO ledger_events SELECT {at}, 'x', {at}, 'x', '{{}}', "
        "sha256('\\x00'::bytea || '{{}}'), 0"
    )
    filled = [many.format(at=size + number) for number in range(1, missing + 1)]
    forged = f"INSERT INTO ledger_nodes VALUES (8, 1, {ZEROS})"
    for node in ("SELECT 1", forged):
        with pytest.raises(psycopg.errors.RaiseException, match="node 8/1 is not that of"):
            attempt(grown.appender, *filled, node, "UPDATE ledger_head SET size = 512")


def test_a_forged_checkpoint_stops_no_signing(place: Place, grown: Logins) -> None:
    """It has the right root, our name and no signature of ours; verify names it."""
    key = place.folder / "key"
    shown = place.done("audit", "keygen", "example/log", "--out", str(key)).out
    on(grown.admin, place, "audit", "checkpoint", "--key", str(key))
    for user, signature in enumerate(("AAAA", "x" * 88, "Li4uLi4uLi4="), 1):
        on(grown.appender, place, "settings", "set", str(user))
        attempt(grown.appender, FORGED_CHECKPOINT.format(signature=signature))
        on(grown.appender, place, "settings", "set", str(10 + user))
        on(grown.admin, place, "audit", "checkpoint", "--key", str(key))
    public = next(word for word in shown.split() if word.startswith("example/log+"))
    found = place.run("--ledger", grown.admin, "audit", "verify", "--public-key", public, "--json")
    assert found.code == 3, found
    assert ["checkpoint" in each["problem"] for each in found.json["findings"]] == [True] * 3


def test_a_url_names_the_login(grown: Logins) -> None:
    """What the attacks above were made with is not an owner."""
    with closing(psycopg.connect(grown.appender)) as connection:
        found = connection.execute("SELECT current_user, session_user").fetchone()
    assert found == (f"{grown.prefix}_appender", make_url(grown.appender).username)


def test_the_owner_goes_on_without_what_no_software_can_read(
    place: Place, grown: Logins, postgresql: Server
) -> None:
    """As the guide says: the readable records into an empty database, and on from there."""
    on(grown.appender, place, "backup", "create", "good")
    ledger = Ledger(open_engine(database_url(grown.appender)), SystemClock())
    good = ledger.log_recorder.head()
    ledger.log_recorder.insert_events([StoredEvent("nonsense", 1, "nonsense", b"\xff\x00")])
    ledger.close()
    attempt(grown.appender, "DELETE FROM ledger_leases", "DELETE FROM ledger_names")
    broken = place.run("--ledger", grown.admin, "backup", "create", "after")
    assert broken.code != 0
    assert str(good.size + 1) in broken.err
    repaired = postgresql.new_database()
    copied = place.json("ledger", "copy", "--up-to", str(good.size), grown.admin, repaired)
    assert (copied["size"], copied["came_since"]) == (good.size, 1)
    assert copied["root"] == good.frontier.root().hex()
    on(repaired, place, "ledger", "init", "--roles", "--prefix", grown.prefix)
    login = make_url(repaired).set(username=make_url(grown.appender).username)
    url = login.render_as_string(hide_password=False)
    on(url, place, "backup", "create", "after")
    taken = place.run("--ledger", url, "--projections", url, "backup", "create", "good")
    assert taken.code != 0, "the names are there again"
    assert on(repaired, place, "audit", "verify").code == 0
