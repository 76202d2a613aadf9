"""A clock that stands still, a ledger on a real file, and who acts."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from ledger.append.ledger import Context, Ledger
from ledger.clock import Clock, ManualClock
from ledger.records.record import Actor
from tests.databases import BOTH, Databases, PostgreSQLDatabases, SQLiteDatabases
from tests.postgresql_server import Server, running_server
from tests.warm_program import warm_program

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As under `nohup ... &`: what tests start would ignore the interrupt that they send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

MEMORY = Path("/dev/shm")  # noqa: S108  (where there is one: each commit is a flush)
ENOUGH_BYTES = 4 << 30
HAS_MEMORY = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
if HAS_MEMORY and "TMPDIR" not in os.environ:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
# What tests start would otherwise be compiled anew by each process of thousands.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A slow machine is not a wrong answer.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

TESTS = Path(__file__).parent
SLOW_FOLDERS = {
    "acceptance",
    "benchmarks",
    "browser",
    "chaos",
    "commands/demo",
    "commands/offsite",
    "crash",
    "faults",
    "http",
    "load",
    "postgresql",
    "properties",
    "schema_changes",
    "simulation",
    "soak",
}
"""Whole systems, many times over. Single slow tests elsewhere carry the mark themselves, and
those that need a server have it by that."""
SLOW_SECONDS = 1.0
"""Who takes longer than this on a quiet machine is slow, and says so with the mark."""

START = datetime(2025, 1, 13, 3, 0, tzinfo=UTC)

OpenLedger = Callable[..., Ledger]
MakeContext = Callable[..., Context]


def open_ledger_at(path: Path, clock: Clock) -> Ledger:
    """The ledger in a file, made where there is none."""
    return SQLiteDatabases().open_ledger(path, clock)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--ledger-on postgresql` takes every test there; many need SQLite's files and fail."""
    parser.addoption("--ledger-on", choices=BOTH, help="the database of every ledger")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The quick inner loop does not even import what its folder leaves out."""
    if config.option.markexpr != "not slow" or not collection_path.is_relative_to(TESTS):
        return None
    return collection_path.relative_to(TESTS).as_posix() in SLOW_FOLDERS or None


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """`-n auto` of the whole suite: one more than cores, as whole systems often wait."""
    cores = yield
    return cores if config.option.markexpr == "not slow" else cores + 1


def is_in_slow_folder(item: pytest.Item) -> bool:
    return any(each.as_posix() in SLOW_FOLDERS for each in item.path.relative_to(TESTS).parents)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what the quick inner loop (`-m "not slow"`) leaves out by its folder.

    It comes first: what is short is left for the end, so that all processes end together.
    """
    items.sort(key=is_in_slow_folder, reverse=True)
    for item in items:
        if is_in_slow_folder(item) or "postgresql" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what keeps the quick inner loop from being quick; a busy machine is not a failure."""
    for report in terminalreporter.getreports("passed"):
        if report.duration > SLOW_SECONDS and "slow" not in report.keywords:
            terminalreporter.write_line(
                f"{report.nodeid} took {report.duration:.1f} s: make it quicker, or mark it slow"
            )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked `both_databases` run on both, PostgreSQL being slow; the others on SQLite."""
    if "databases" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--ledger-on")
        if chosen is not None:
            metafunc.parametrize("databases", [chosen], indirect=True)
        elif metafunc.definition.get_closest_marker("both_databases"):
            metafunc.parametrize(
                "databases",
                ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)],
                indirect=True,
            )


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server of this process's own, started when the first test needs it.

    Another run shuts pytest's folder to all accounts but its own; the server has one of its own.
    """
    with (
        tempfile.TemporaryDirectory(prefix="postgresql", ignore_cleanup_errors=True) as folder,
        running_server(Path(folder)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def warm_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PATH on which the command line starts in no time."""
    with warm_program(tmp_path_factory.mktemp("warm")) as path:
        yield path


@pytest.fixture
def databases(request: pytest.FixtureRequest) -> Databases:
    """Where ledgers and read models are: on SQLite, unless the test is for both."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return SQLiteDatabases()
    return PostgreSQLDatabases(request.getfixturevalue("postgresql"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def open_ledger(
    ledger_path: Path, clock: ManualClock, databases: Databases
) -> Iterator[OpenLedger]:
    """Open the ledger of the test once more, or another one; all are closed in the end."""
    opened: list[Ledger] = []

    def open_one(path: Path = ledger_path, own_clock: Clock = clock) -> Ledger:
        opened.append(databases.open_ledger(path, own_clock))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def ledger(open_ledger: OpenLedger) -> Ledger:
    return open_ledger()


@pytest.fixture
def context(clock: ManualClock) -> MakeContext:
    """A new command of some actor, as of now."""

    def make(kind: str = "operator", name: str = "ada") -> Context:
        return Context(actor=Actor.model_validate({"id": name, "kind": kind}), now=clock.now())

    return make
