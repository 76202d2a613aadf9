"""The ledger on a server: what its triggers refuse, lost connections, being told of appends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import Engine

from ledger.append.database import database_url, open_engine
from ledger.append.databases.guards import POSTGRESQL_TRIGGERS
from ledger.append.ledger import Context, Draft, Ledger
from ledger.append.recorder import LockedHead
from ledger.clock import ManualClock, SystemClock
from ledger.errors import LedgerUnreachable
from ledger.events.housekeeping import ProjectionRebuilt
from ledger.records.record import Actor
from ledger.verify.verify import verify
from tests.conftest import START
from tests.databases import PostgreSQLDatabases, SQLiteDatabases
from tests.ledger.tampering import KEY, append_some, finding
from tests.postgresql_server import Server

SAME = "event_type, record, leaf_hash, recorded_at FROM public.ledger_events WHERE position = 1"


@pytest.fixture
def on_server(postgresql: Server) -> Iterator[Ledger]:
    ledger = PostgreSQLDatabases(postgresql).open_ledger(Path("ledger"), ManualClock(START))
    yield ledger
    ledger.close()
    ledger.engine.dispose()


def context() -> Context:
    return Context(actor=Actor(id="ada", kind="operator"), now=START)


def a_draft(reason: str = "test") -> Draft:
    details = ProjectionRebuilt(name="audit_trail", version=1, reason=reason, position=0, rows=0)
    return Draft("ledger", details)


def reasons(ledger: Ledger) -> list[str]:
    return [each.event.details.reason for each in ledger.recorded()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE public.ledger_events SET record = ''",
        "UPDATE public.ledger_events SET recorded_at = 0 WHERE position = 1",
        "DELETE FROM public.ledger_events",
        "DELETE FROM public.ledger_events WHERE FALSE",
        "TRUNCATE public.ledger_events",
        f"INSERT INTO public.ledger_events SELECT position + 5, stream, 99, {SAME}",
        f"INSERT INTO public.ledger_events SELECT position, stream, 1, {SAME} "  # noqa: ISC004
        "ON CONFLICT (position) DO UPDATE SET record = ''",
    ],
)
def test_the_server_refuses_to_change_what_was_recorded(on_server: Ledger, statement: str) -> None:
    """Whoever has a connection, the owner too."""
    on_server.append(context(), a_draft("one"), a_draft("two"))
    with (
        on_server.engine.connect() as connection,
        pytest.raises(Exception, match="ledger_events is append-only"),
    ):
        connection.execute(text(statement))
    assert reasons(on_server) == ["one", "two"]
    assert verify(on_server.engine).ok


@pytest.mark.parametrize("trigger", POSTGRESQL_TRIGGERS, ids=lambda each: each.name)
@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("DROP TRIGGER {name} ON public.{table}", "was dropped"),
        ("ALTER TABLE public.{table} DISABLE TRIGGER {name}", "was switched off"),
        (
            "CREATE OR REPLACE FUNCTION public.{function}() RETURNS trigger LANGUAGE plpgsql "  # noqa: ISC004
            "AS $$ BEGIN RETURN NEW; END $$",
            "was changed",
        ),
    ],
)
def test_a_trigger_that_is_not_as_it_was_is_a_finding(
    on_server: Ledger, trigger: Any, act: str, told: str
) -> None:
    """Dropped, switched off, or made to do nothing."""
    statement = act.format(name=trigger.name, table=trigger.table, function=trigger.function)
    with on_server.engine.begin() as connection:
        connection.execute(text(statement))
    finding(verify(on_server.engine), f"the trigger {trigger.name} {told}")


def test_records_roots_and_proofs_are_the_same_on_both(
    postgresql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same commands at the same time give the same bytes, whatever keeps them."""
    numbers = iter(range(1, 10_000))
    monkeypatch.setattr(
        "ledger.events.base.urandom", lambda count: next(numbers).to_bytes(count, "big")
    )
    found = []
    for databases in (SQLiteDatabases(), PostgreSQLDatabases(postgresql)):
        numbers = iter(range(1, 10_000))
        clock = ManualClock(START)
        ledger = databases.open_ledger(tmp_path / "ledger", clock)
        append_some(ledger, clock, 300)
        head = ledger.log_recorder.head()
        rows = [(each.record, each.leaf_hash, each.recorded_at) for each in ledger.records()]
        report = verify(ledger.engine)
        assert report.ok
        found.append((rows, head.frontier.root(), head.frontier.to_bytes(), report.root))
        ledger.close()
        ledger.engine.dispose()
    assert found[0] == found[1]
    assert KEY is not None


class Cut:
    """Cuts the connection of a ledger's next transactions before or after they commit."""

    def __init__(self, engine: Engine, server: Server, moment: str, times: int = 1) -> None:
        self._engine, self._server, self._moment, self.left = engine, server, moment, times

    @contextmanager
    def applied(self) -> Iterator[None]:
        """`before_commit`: nothing was committed. `after_commit`: it was, and nobody heard."""
        dialect = self._engine.dialect
        commit = dialect.do_commit

        def do_commit(raw: Any) -> None:
            driver = getattr(raw, "driver_connection", raw)
            is_cut = self.left > 0
            self.left -= 1
            if is_cut and self._moment == "before_commit":
                self._server.run(f"SELECT pg_terminate_backend({driver.info.backend_pid})")
            commit(raw)
            if is_cut:
                driver.close()
                raise psycopg.OperationalError("the connection was lost")

        dialect.do_commit = do_commit  # type: ignore[method-assign]
        try:
            yield
        finally:
            dialect.do_commit = commit  # type: ignore[method-assign]


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
@pytest.mark.parametrize("times", [1, 2])
def test_an_append_survives_a_lost_connection_and_is_never_done_twice(
    on_server: Ledger, postgresql: Server, moment: str, times: int
) -> None:
    """Also where the server had committed, and the answer was lost: the event_id tells."""
    decided: list[int] = []

    def decision(locked: LockedHead) -> list[Draft]:
        decided.append(locked.head.size)
        return [a_draft("one"), a_draft("two")]

    with Cut(on_server.engine, postgresql, moment, times).applied():
        recorded = on_server.decide(context(), decision)
    assert [each.position for each in recorded] == [1, 2]
    assert reasons(on_server) == ["one", "two"]
    assert [each.event.event_id for each in on_server.recorded()] == [
        each.event.event_id for each in recorded
    ]
    assert verify(on_server.engine).ok
    assert len(decided) == (1 if moment == "after_commit" else times + 1)


def test_a_cut_in_the_middle_of_a_decision_lets_it_be_decided_again(
    on_server: Ledger, postgresql: Server
) -> None:
    """On what is true then: somebody else appended in between."""
    other = Ledger(open_engine(on_server.engine.url), ManualClock(START))
    seen: list[int] = []

    def decision(locked: LockedHead) -> list[Draft]:
        seen.append(locked.head.size)
        if len(seen) == 1:
            raw: Any = locked.connection.connection.driver_connection
            postgresql.run(f"SELECT pg_terminate_backend({raw.info.backend_pid})")
            other.append(context(), a_draft("theirs"))
        return [a_draft("ours")]

    on_server.decide(context(), decision)
    assert seen == [0, 1]
    assert reasons(on_server) == ["theirs", "ours"]
    other.close()
    other.engine.dispose()


def test_a_silent_server_is_given_up_unless_its_url_is_more_patient(postgresql: Server) -> None:
    """Keepalives and limits are set on each connection; what the URL says counts more."""
    engine = open_engine(database_url(f"{postgresql.url}&keepalives_idle=77"))
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        told = raw.info.get_parameters()
    engine.dispose()
    assert (told["connect_timeout"], told["keepalives_idle"]) == ("10", "77")
    assert (told["keepalives_count"], told["tcp_user_timeout"]) == ("3", "30000")


def test_a_server_that_stays_away_is_said_to(postgresql: Server) -> None:
    """No endless waiting: after some attempts the caller hears of it."""
    url = PostgreSQLDatabases(postgresql).open_ledger(Path("x"), SystemClock()).engine.url
    ledger = Ledger(open_engine(url), SystemClock())
    ledger.engine.dispose()
    ledger.engine.dialect.connect = _refused  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ledger.append.ledger.RECONNECT_SECONDS", (0.01, 0.01, None))
        with pytest.raises(LedgerUnreachable, match="check that the server is running"):
            ledger.append(context(), a_draft())


def _refused(*_arguments: Any, **_options: Any) -> Any:
    return psycopg.connect("host=127.0.0.1 port=1 connect_timeout=2")


def test_a_restart_of_the_server_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Four writers go on while the server goes down and comes up again, twice.

    Also where it is set to confirm commits that it would lose.
    """
    from tests.postgresql_server import running_server  # noqa: PLC0415

    with running_server(tmp_path_factory.mktemp("restarted")) as server:
        server.run("ALTER SYSTEM SET synchronous_commit = off")
        server.run("SELECT pg_reload_conf()")
        url = PostgreSQLDatabases(server).open_ledger(Path("x"), SystemClock()).engine.url
        done: list[str] = []
        begun = threading.Barrier(5)

        def write(number: int) -> None:
            ledger = Ledger(open_engine(url), SystemClock())
            begun.wait()
            for turn in range(60):
                ledger.append(context(), a_draft(f"{number}/{turn}"))
                done.append(f"{number}/{turn}")
            ledger.close()
            ledger.engine.dispose()

        writers = [threading.Thread(target=write, args=(each,)) for each in range(4)]
        for each in writers:
            each.start()
        begun.wait()
        for mode in ("fast", "immediate"):
            server.restart(mode)
        for each in writers:
            each.join()
        ledger = Ledger(open_engine(url), SystemClock())
        assert sorted(reasons(ledger)) == sorted(done)
        assert len(done) == 240
        assert verify(ledger.engine).ok
        ledger.close()
        ledger.engine.dispose()


def test_a_subscription_is_told_by_the_server(on_server: Ledger, postgresql: Server) -> None:
    """Of appends of others, in order; also after the connection that listens was cut."""
    other = Ledger(open_engine(on_server.engine.url), ManualClock(START))
    on_server.append(context(), a_draft("before"))
    with on_server.log_recorder.subscribe(gt=0) as subscription:
        assert next(subscription).id == 1
        other.append(context(), a_draft("one"))
        assert next(subscription).id == 2
        _cut_listeners(postgresql, on_server.engine)
        other.append(context(), a_draft("two"), a_draft("three"))
        assert [next(subscription).id for _ in range(2)] == [3, 4]
    other.close()
    other.engine.dispose()


def test_the_head_tells_its_size(on_server: Ledger) -> None:
    """Whoever listens hears a number and no content."""
    with closing(_listening(on_server.engine)) as listening:
        on_server.append(context(), a_draft("secret"), a_draft("secret"))
        heard = list(listening.notifies(timeout=10, stop_after=1))
    assert [each.payload for each in heard] == ["2"]


def _listening(engine: Engine) -> Any:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("LISTEN backup_ledger")
    return connection


def _cut_listeners(server: Server, engine: Engine) -> None:
    server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
        f"'{database_url(str(engine.url)).database}' AND query LIKE 'LISTEN%'"
    )
