"""Stream versions: 1, 2, 3 .. without holes or doubles, and in the order of positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ledger.append.backend import backend_of
from ledger.append.prepared import Prepared
from ledger.append.tables import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from ledger.verify.findings import Findings

STREAM = "stream versions"
BATCH = 1_000
_IN_ORDER = Prepared(
    select(events.c.stream, events.c.stream_version, events.c.position).order_by(
        events.c.stream, events.c.stream_version, events.c.position
    )
)


def check_streams(
    connection: Connection, findings: Findings, on_rows: Callable[[int], None]
) -> int:
    """Walk the events by stream and version, in the order of their unique key; how many."""
    stream, version, position = None, 0, 0
    rows = 0
    for batch in backend_of(connection).in_batches(connection, _IN_ORDER, BATCH):
        for its_stream, its_version, its_position in batch:
            if its_stream != stream:
                stream, version, position = its_stream, 0, 0
            if its_version != version + 1 or its_position <= position:
                _explain(findings, stream, (version, position), (its_version, its_position))
                if type(its_version) is not int:
                    its_version = 0  # noqa: PLW2901  (the next one is compared with it)
            version, position = its_version, its_position
        rows += len(batch)
        on_rows(len(batch))
    return rows


def _explain(
    findings: Findings, stream: Any, last: tuple[int, int], found: tuple[Any, int]
) -> None:
    version, position = found
    expected = f"version {last[0] + 1}"
    if version == last[0]:
        problem = f"the stream {stream} has version {version} twice"
    elif version == last[0] + 1:
        problem = f"the stream {stream} is out of order: version {version} comes before {last[0]}"
        expected = f"a position after {last[1]}"
    else:
        problem = f"the stream {stream} lacks the version before  {version}"
    findings.add(STREAM, position, problem, expected, f"version {version!r} at {position}")
