"""One writer: python -m tests.benchmarks.appending_process ledger|library URL COUNT."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from uuid import uuid4

from psycopg.conninfo import conninfo_to_dict

from ledger.append.database import database_url, open_engine
from ledger.append.ledger import Context, Ledger
from ledger.clock import SystemClock
from tests.benchmarks.ledger_rows import ACTOR, Schedule, Schedules, created


def our_append(url: str) -> Callable[[], object]:
    ledger = Ledger(open_engine(database_url(url)), SystemClock())

    def append() -> object:
        user = uuid4().int >> 66
        return ledger.append(Context(ACTOR, SystemClock().now()), created(user))

    return append


def library_append(url: str, count: int) -> Callable[[], object]:
    found = conninfo_to_dict(url)
    env = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(found["dbname"]),
        "POSTGRES_HOST": str(found["host"]),
        "POSTGRES_PORT": str(found.get("port", 5432)),
        "POSTGRES_USER": str(found.get("user", "postgres")),
        "POSTGRES_PASSWORD": str(found.get("password") or "none"),
        "CREATE_TABLE": "yes" if count == 1 else "no",  # many at once cannot
    }
    application = Schedules(env=env)
    return lambda: application.save(Schedule("daily", "03:00", 7))


def main(kind: str, url: str, count: int) -> None:
    append = our_append(url) if kind == "ledger" else library_append(url, count)
    append()  # connections and statements are there
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for _ in range(count):
        append()
    sys.stdout.flush()
    os._exit(0)  # the library's pool would take its time


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
