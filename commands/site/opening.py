"""Opening a site: when a ledger may be made, and when its absence is an error.

An unmounted folder looks like an empty one. So a ledger and its `.store` are made together,
by commands that a person uses to begin with, and in a folder that has neither; where the marker
beside the database names a ledger, or anything else is odd, the person is asked.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from commands.errors import StoreUnknown
from commands.site.actors import SYSTEM
from commands.site.former_settings import has_former_settings, import_former_settings
from commands.site.marker import keep_marker, read_marker, remove_marker
from commands.site.ownership import require_own_folders, require_own_journals
from commands.site.site import Site
from commands.site.store import Store, make_folder, make_store, read_store_id
from commands.sqlite.connections import missing_database
from commands.sqlite.errors import SourceMissing, shown
from commands.sqlite.files import create_private
from ledger.append.backend import Tables
from ledger.append.database import (
    create_ledger,
    file_of,
    open_engine,
    place_of,
    read_meta,
    translated_errors,
)
from ledger.append.databases.schemas import has_schema, make_schema
from ledger.append.ledger import Ledger
from ledger.append.migrations import migrate, note_software
from ledger.append.tables import meta
from ledger.clock import Clock, SystemClock
from ledger.errors import LedgerMissing
from projections.projector.damage import Damage
from projections.projector.projector import read_progress
from projections.projector.read_models import ReadModels
from projections.tables.columns import progress
from projections.tables.schema import refuse_tables_in_the_way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

    from commands.site.configuration import Configuration
    from ledger.records.record import Actor

Mode = Literal["begin", "act", "plan", "read"]
"""begin: may make a ledger. act: needs one, exit 1. read: a question, exit 4 where there is none.
plan: a question about an act, exit 1 like the act."""
QUESTIONS: tuple[Mode, ...] = ("plan", "read")

INIT_HINT = "backup-ledger ledger init [--new]"


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in a folder before it is opened."""

    store_id: str | None
    has_ledger: bool

    @property
    def is_whole(self) -> bool:
        return self.store_id is not None and self.has_ledger


def open_site(
    configuration: Configuration,
    mode: Mode,
    *,
    clock: Clock | None = None,
    application_url: URL | None = None,
    actor: Actor = SYSTEM,
) -> Site:
    """Open the ledger, its folder and read models.

    `application_url`: the application's own database, where the read models then live. `actor`:
    who acts, if the database has to be recorded as the folder's.

    Raises:
        LedgerMissing: mode "read", and there is none.
        StoreUnknown: there is no ledger or no `.store`, and this command may not make one.
        SourceMissing: a ledger would begin for a database that is not there.
        FolderOfAnother: modes "begin" and "act", and the folder is that of another database.
        Refused: the same modes, and root would act in another account's folder.
        FileAccessFailed: a journal beside the ledger or the read models names another file.
        NotALedger, LedgerTooNew: the ledger's file is something else, or of newer software.
    """
    clock = clock or SystemClock()
    if mode not in QUESTIONS:
        require_own_folders(configuration)
    require_own_journals(configuration)
    found = look_around(configuration)
    begins = mode == "begin" and not found.is_whole
    if begins:
        _require_database(configuration)
        begin(configuration, clock, application_url)
        found = look_around(configuration)
    _require(configuration, found, mode)
    engine = open_engine(configuration.ledger_url)
    try:
        if mode not in QUESTIONS:
            migrate(engine)  # reading changes nothing, and can do with older tables
            note_software(engine)
        ledger = Ledger(engine, clock)
    except BaseException:
        engine.dispose()
        raise
    store = found.store_id and Store(configuration.backups_folder, found.store_id)
    read_models = open_read_models(
        configuration, ledger, application_url, is_question=mode in QUESTIONS
    )
    site = Site(configuration, clock, ledger, read_models, store or None, is_new=begins)
    if mode not in QUESTIONS:
        try:
            _take_possession(site, actor)
        except BaseException:
            site.close()
            raise
    return site


def _take_possession(site: Site, actor: Actor) -> None:
    """See that the folder belongs to the database, and leave word of that beside the database."""
    if site.configuration.database is None or not site.has_store:
        return
    site.require_own_folder(site.context(actor))
    keep_marker(site.database, site.marker)


def open_read_models(
    configuration: Configuration,
    ledger: Ledger,
    application_url: URL | None,
    *,
    is_question: bool = False,
) -> ReadModels:
    """Read models in the application's database, or in a file of their own.

    `is_question`: nothing may be recorded. The former service's settings are not taken over then,
    and its table is left alone: the answer is folded in memory.
    """
    if is_question and application_url is None and not configuration.has_projections:
        return ReadModels.in_memory(ledger, spills=True)  # a copy of a ledger, and nothing else
    url = application_url or configuration.projections_url
    path = file_of(url)
    if application_url is None and path:
        _make_private_file(path)
    is_applications = application_url is not None or configuration.projections is not None
    if is_applications and is_question and has_former_settings(url):
        return ReadModels.in_memory(ledger)
    if is_applications and not is_question:
        import_former_settings(ledger, url)
    return ReadModels.at(url, ledger, is_applications=is_applications)


def begin(
    configuration: Configuration,
    clock: Clock,
    application_url: URL | None = None,
    *,
    new: bool = False,
) -> None:
    """Make a new ledger and store in a folder that has neither.

    `new`: a person said so where one of the two is there without the other.

    Raises:
        StoreUnknown: one of them is there without the other; the read models' database holds
            rows of another ledger; or the marker beside the database names a ledger.
        TableInTheWay: the read models' database has a table of a name of ours.
        Refused: root would act in another account's folder.
    """
    require_own_folders(configuration)
    _make_schemas(configuration, application_url)
    before = look_around(configuration)
    if not (new or before.store_id or before.has_ledger):
        _refuse_marked(configuration)
    if not before.has_ledger:
        _refuse_read_models(configuration, application_url, new=new)
    make_folder(configuration.backups_folder)
    with _alone_in(configuration.backups_folder):
        found = look_around(configuration)
        if new and configuration.database is not None:
            remove_marker(configuration.database_path)  # the next command that acts writes it
        if found.is_whole:
            return
        unfinished = found.has_ledger and _is_empty(configuration)
        if (found.store_id or found.has_ledger) and not (new or unfinished):
            raise StoreUnknown(half_there(configuration, found))
        if not found.has_ledger:
            _make_ledger(configuration, clock)
        if found.store_id is None:
            make_store(configuration.backups_folder)


def _make_schemas(configuration: Configuration, application_url: URL | None) -> None:
    """A site's own schema, on each server that it uses."""
    urls = (configuration.ledger_url, application_url or configuration.projections_url)
    for url in urls if configuration.own_schema else ():
        if file_of(url) is None:
            make_schema(url, str(configuration.own_schema))


def look_around(configuration: Configuration) -> Found:
    """Which of ledger and `.store` are there."""
    url = configuration.ledger_url
    is_named = configuration.names_a_folder
    store_id = read_store_id(configuration.backups_folder) if is_named else None
    path = file_of(url)
    if path is not None:
        return Found(store_id, os.path.lexists(path))
    if configuration.own_schema is not None and not has_schema(url, configuration.own_schema):
        return Found(store_id, has_ledger=False)
    engine = open_engine(url)
    try:
        with translated_errors(engine), engine.connect() as connection:
            return Found(store_id, Tables(connection).has(meta.name))
    finally:
        engine.dispose()


def _require_database(configuration: Configuration) -> None:
    """A typing error must not leave a new folder and a new ledger behind."""
    if configuration.database is not None and not configuration.database_path.exists():
        path = configuration.database_path
        raise SourceMissing(missing_database(path))


def _refuse_marked(configuration: Configuration) -> None:
    if configuration.database is None:
        return
    marker = read_marker(configuration.database_path)
    if marker is not None:
        raise StoreUnknown(
            f"{shown(configuration.database_path)} has its ledger at {shown(marker.ledger)}, and "
            f"there is none at {place_of(configuration.ledger_url)}: is its folder mounted, are "
            "--backups and --ledger right? To begin a new one all the same: "
            "backup-ledger ledger init --new"
        )


def _require(configuration: Configuration, found: Found, mode: Mode) -> None:
    if not found.has_ledger and mode == "read":
        raise LedgerMissing(
            f"there is no ledger at {place_of(configuration.ledger_url)}; check --ledger, "
            f"--backups and --database, or begin one: {INIT_HINT}"
        )
    if found.is_whole or (found.has_ledger and mode == "read"):
        return
    raise StoreUnknown(half_there(configuration, found))


def half_there(configuration: Configuration, found: Found) -> str:
    """What is there without the other, and what a person can do."""
    folder = configuration.backups_folder
    if found.has_ledger:
        what = f"the ledger is there, but {folder} has no .store file"
    elif found.store_id:
        what = f"{folder} has a .store file, but no ledger at {place_of(configuration.ledger_url)}"
    else:
        what = f"{folder} has no ledger and no .store file"
    return f"{what}: is it mounted, is it the right folder? If so: {INIT_HINT}"


def _make_ledger(configuration: Configuration, clock: Clock) -> None:
    url = configuration.ledger_url
    path = file_of(url)
    if path:
        _make_private_file(path)
    engine = open_engine(url)
    try:
        create_ledger(engine, str(uuid4()), clock.now())
    finally:
        engine.dispose()


def _is_empty(configuration: Configuration) -> bool:
    """A ledger that somebody began to make, and was killed before its `.store`."""
    engine = open_engine(configuration.ledger_url)
    try:
        with translated_errors(engine), engine.connect() as connection:
            is_bare = not Tables(connection).names()
        if is_bare:
            create_ledger(engine, str(uuid4()), SystemClock().now())
        read_meta(engine)
        return Ledger(engine, SystemClock()).log_recorder.head().size == 0
    finally:
        engine.dispose()


def _refuse_read_models(
    configuration: Configuration, application_url: URL | None, *, new: bool
) -> None:
    url = application_url or configuration.projections_url
    path = file_of(url)
    if path is not None and not os.path.exists(path):
        return
    engine = open_engine(url)
    is_own_file = application_url is None and configuration.projections is None
    Damage(engine, may_be_replaced=is_own_file).look()
    try:
        with translated_errors(engine), engine.connect() as connection:
            refuse_tables_in_the_way(connection)
            if not Tables(connection).has(progress.name):
                return
            if read_progress(connection) and not new:
                raise StoreUnknown(
                    f"{place_of(url)} holds read models of another ledger, which is not at "
                    f"{place_of(configuration.ledger_url)}: is its folder mounted? To begin a new "
                    f"one all the same: {INIT_HINT}"
                )
    finally:
        engine.dispose()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One process at a time makes things in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_private_file(path: str) -> None:
    """An empty file, 0600, for SQLite to fill; left alone where it is there."""
    if os.path.lexists(path):
        return
    try:
        os.close(create_private(Path(path)))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreUnknown(f"{path} cannot be made: {error}") from error
