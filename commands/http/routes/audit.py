"""The audit log and what proves it."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse

from commands.audit.damaged_ledger import report_on_damage, with_damage
from commands.audit.export import export_evidence
from commands.audit.keys import read_private_key
from commands.audit.log import audit_page
from commands.audit.prove import cosigned_for, prove_in
from commands.audit.sign_checkpoint import sign_checkpoint
from commands.audit.verify_ledger import verify_ledger
from commands.audit.witness_policy import witness_policy
from commands.errors import InvalidArgument
from commands.http.callers import Reader
from commands.http.jobs import started
from commands.http.ledger_route import Command, LedgerRoute, NoBody
from commands.http.problems import not_found
from commands.http.schema import also
from commands.http.served_site import Served, ServedSite
from commands.shapes.audit import AuditPage, AuditRecord, ExportedEvidence
from commands.shapes.jobs import ExportJob, VerifyLedgerJob
from ledger.append.database import translated_errors
from ledger.append.kept_checkpoints import newest_kept
from ledger.append.reading import StoredRecord
from ledger.append.stored_tree import TreeReader
from ledger.clock import format_instant
from ledger.errors import LedgerBroken, NotALedger
from ledger.evidence.bundle import Choice
from ledger.tree.proofs import consistency_proof
from ledger.verify.remembered import remember_verified
from ledger.vocabulary import MAX_USER_ID
from projections.queries.audit import AuditFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.http.jobs import Job, Tell
    from ledger.append.kept_checkpoints import KeptCheckpoint
    from ledger.append.ledger import Context
    from ledger.tree.signed_note import SignerKey

router = APIRouter(route_class=LedgerRoute, tags=["audit"])

Position = Annotated[int, InPath(ge=1, le=MAX_USER_ID)]
MAX_TEXT = 200
NOT_CHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "Not changed"}}
UNCHANGED_OR_ERASED = "private, no-cache"
"""A record never changes, but it can be erased: what was kept of it is asked about each time."""


class Wanted(BaseModel):
    """Filters of the audit log; none for every event."""

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    type: Annotated[str, Query(max_length=MAX_TEXT)] | None = None
    user_id: Annotated[int, Query(ge=1, le=MAX_USER_ID)] | None = None
    failed: bool = False
    resource: Annotated[str, Query(max_length=MAX_TEXT)] | None = None
    text: Annotated[str, Query(max_length=MAX_TEXT)] | None = None

    def filter(self) -> AuditFilter:
        return AuditFilter(
            since=self.since,
            until=self.until,
            event_type=self.type or None,
            user_id=self.user_id,
            failed_only=self.failed,
            resource=self.resource or None,
            text=self.text or None,
        )


class LogQuery(Wanted):
    """The same, and which page: `cursor` is the `next_cursor` of the page before."""

    cursor: Annotated[int, Query(ge=0, le=MAX_USER_ID)] | None = None
    order: Literal["newest", "oldest"] = "newest"
    limit: Annotated[int, Query(ge=1, le=1000)] = 100


class ExportInput(BaseModel):
    """Which records: positions inclusive; of one user."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"user_id": 1}})

    first_position: Annotated[int, Query(ge=1, le=MAX_USER_ID)] | None = None
    last_position: Annotated[int, Query(ge=1, le=MAX_USER_ID)] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    user_id: Annotated[
        int | None,
        Field(ge=1, le=MAX_USER_ID, validation_alias=AliasChoices("user_id", "user")),
    ] = None

    def choice(self) -> Choice:
        return Choice(
            first_position=self.first_position,
            last_position=self.last_position,
            since=None if self.since is None else format_instant(self.since),
            until=None if self.until is None else format_instant(self.until),
            user=None if self.user_id is None else str(self.user_id),
        )


@router.get(
    "/audit/log",
    operation_id="list_events",
    response_model=AuditPage,
    summary="Events, newest first, in pages; the records verbatim",
)
def log(_caller: Reader, served: Served, query: Annotated[LogQuery, Query()]) -> Response:
    page = audit_page(
        served.site,
        query.filter(),
        cursor=query.cursor,
        newest_first=query.order == "newest",
        limit=query.limit,
    )
    size = served.site.ledger.log_recorder.head().size
    events = b",".join(record_line(each) for each in page.records)
    following = b"null" if page.next_cursor is None else b"%d" % page.next_cursor
    looked = b"" if page.looked_at is None else b',"looked_at":%d' % page.looked_at
    body = b'{"events":[%b],"count":%d,"next_cursor":%b,"size":%d%b}' % (
        events,
        len(page.records),
        following,
        size,
        looked,
    )
    return Response(body, media_type="application/json")


@router.get(
    "/audit/events/{position}",
    operation_id="get_event",
    response_model=AuditRecord,
    responses=also(410) | NOT_CHANGED,
    summary="One record, byte for byte as it was hashed",
)
def event(request: Request, _caller: Reader, served: Served, position: Position) -> Response:
    found = list(served.site.ledger.records(after=position - 1, up_to=position))
    if not found:
        raise not_found(f"the ledger has no position {position}")
    if found[0].is_erased:
        raise HTTPException(
            410,
            f"the record at position {position} was erased on request; its leaf hash is "
            f"{found[0].leaf_hash.hex()}, and an event of the type ledger.record_redacted says why",
        )
    tag = f'"{served.site.ledger.meta.ledger_id}/{position}/{found[0].leaf_hash.hex()}"'
    headers = {"ETag": tag, "Cache-Control": UNCHANGED_OR_ERASED}
    asked = request.headers.get("if-none-match", "")
    if asked.strip() == "*" or tag in (each.strip() for each in asked.split(",")):
        return Response(status_code=304, headers=headers)
    headers |= {"X-Position": str(position), "X-Leaf-Hash": found[0].leaf_hash.hex()}
    return Response(found[0].record, headers=headers, media_type="application/json")


@router.get(
    "/audit/events/{position}/proof",
    operation_id="get_proof",
    responses=also(409),
    response_class=PlainTextResponse,
    summary="A .tlog-proof file of one record",
)
def proof(_caller: Reader, served: Served, position: Position) -> Response:
    """Against the newest checkpoint that was signed; a record that came later is not signed yet.

    Where enough witnesses cosigned one that covers the record, against the newest of those.
    """
    site, settings = served.site, served.site.configuration
    kept = None
    if settings.witnesses and settings.checkpoint_key is not None:
        key, policy = signing_key(served).verifier(), witness_policy(settings)
        kept = cosigned_for(site.ledger.engine, position, key, policy)
    found = prove_in(site.ledger.engine, position, kept or _newest(served))
    return _text(found.proof.to_bytes())


@router.get(
    "/audit/checkpoint",
    operation_id="get_checkpoint",
    responses=also(404),
    response_class=PlainTextResponse,
    summary="The newest signed checkpoint; nothing is signed by asking",
)
def checkpoint(_caller: Reader, served: Served) -> Response:
    return _text(_newest(served).note)


@router.post(
    "/audit/checkpoint",
    operation_id="sign_checkpoint",
    responses=also(409),
    response_class=PlainTextResponse,
    summary="Sign the ledger as it is now",
)
def sign(_caller: Reader, served: Served) -> Response:
    return _text(sign_now(served).note)


@router.get(
    "/audit/consistency",
    operation_id="get_consistency_proof",
    responses=also(404),
    response_class=PlainTextResponse,
    summary="That the first records of a size are the same in a larger ledger: hashes in base64",
)
def consistency(
    _caller: Reader,
    served: Served,
    first: Annotated[int, Query(ge=1, le=MAX_USER_ID)],
    second: Annotated[int, Query(ge=1, le=MAX_USER_ID)],
) -> Response:
    """An RFC 6962 consistency proof, a line each; the sizes are those of two checkpoints."""
    engine = served.site.ledger.engine
    if not first <= second <= served.site.ledger.log_recorder.head().size:
        raise not_found(f"there is no proof from {first} to {second} records")
    with translated_errors(engine), engine.connect() as connection:
        proof = consistency_proof(first, second, TreeReader(connection))
    return _text(b"".join(b64encode(each) + b"\n" for each in proof))


@router.get(
    "/audit/public-key",
    operation_id="get_public_key",
    responses=also(409),
    response_class=PlainTextResponse,
    summary="What checkpoints and proofs are checked with",
)
def public_key(_caller: Reader, served: Served) -> Response:
    return _text(signing_key(served).verifier().to_text().encode() + b"\n")


@router.post(
    "/audit/verify",
    operation_id="verify_ledger",
    response_model=VerifyLedgerJob,
    responses=also(409),
    status_code=202,
    summary="Recompute the whole history, as a job",
)
def verify(caller: Reader, served: Served) -> Response:
    return started(served.jobs.start("verify_ledger", caller, verify_work(served)))


@router.post(
    "/audit/export",
    operation_id="export_evidence",
    response_model=ExportJob,
    status_code=202,
    summary="Write a bundle of evidence, as a job",
)
def export(
    caller: Reader, context: Command, served: Served, body: ExportInput | NoBody = None
) -> Response:
    """The finished bundle is fetched from /jobs/{job_id}/file; the export is recorded."""
    work = export_work(served, context, (body or ExportInput()).choice())
    return started(served.jobs.start("export", caller, work))


def verify_work(served: ServedSite) -> Callable[[Job, Tell], dict[str, Any]]:
    """Recomputing the whole history, as a job; of a damaged file, page by page."""

    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        site = served.site
        url = site.configuration.ledger_url
        try:
            report = verify_ledger(site.ledger.engine, site.configuration, on_progress=tell)
            remember_verified(site.ledger.engine, report, site.clock.now())
            report = with_damage(report, url)
        except (LedgerBroken, NotALedger) as error:
            report = report_on_damage(url, error)
        return report.as_json() | {"verdict": report.verdict}

    return work


def export_work(
    served: ServedSite, context: Context, choice: Choice
) -> Callable[[Job, Tell], ExportedEvidence]:
    """Writing a bundle, as a job.

    Raises:
        HTTPException: no key is set to sign with.
    """
    key = signing_key(served)

    def work(job: Job, tell: Tell) -> ExportedEvidence:
        tell("writing", 0, 0)
        out = served.jobs.new_file("evidence.zip")
        done = export_evidence(served.site, context, out, choice, key)
        job.file = done.path
        return ExportedEvidence(
            records=done.written.records,
            first_position=done.written.first_position,
            last_position=done.written.last_position,
            checkpoint_size=done.checkpoint.checkpoint.size,
            public_key=key.verifier().to_text(),
        )

    return work


def record_line(row: StoredRecord) -> bytes:
    """A record with its position; the record's own bytes, untouched, unless it was erased."""
    erased = b',"erased":true' if row.is_erased else b""
    return b'{"position":%d,"record":%b%b}' % (row.position, row.record, erased)


def signing_key(served: ServedSite) -> SignerKey:
    """The key that is set.

    Raises:
        HTTPException: none is.
    """
    path = served.site.configuration.checkpoint_key
    if path is None:
        raise HTTPException(
            409,
            "there is no signing key: the operator of the service has to set checkpoint_key",
        )
    return read_private_key(path)


def sign_now(served: ServedSite) -> KeptCheckpoint:
    """Sign the head; what is signed already is not signed again."""
    site, key = served.site, signing_key(served)
    folder = site.configuration.checkpoint_folder
    return sign_checkpoint(site.ledger.engine, key, site.clock, folder)


def signed_size(served: ServedSite) -> int:
    """How many records the newest checkpoint covers; 0 where none was signed."""
    kept = _newest_or_none(served)
    return 0 if kept is None else kept.checkpoint.size


def _newest_or_none(served: ServedSite) -> KeptCheckpoint | None:
    """The newest kept checkpoint, of the key that is set; of anybody's where none can be read."""
    path, key = served.site.configuration.checkpoint_key, None
    if path is not None:
        with suppress(InvalidArgument):
            key = read_private_key(path).verifier()
    engine = served.site.ledger.engine
    with translated_errors(engine), engine.connect() as connection:
        return newest_kept(connection, key)


def _newest(served: ServedSite) -> KeptCheckpoint:
    """Raises HTTPException where none was signed yet."""
    newest = _newest_or_none(served)
    if newest is None:
        raise not_found(
            "no checkpoint was signed yet: set checkpoint_key, and the scheduler signs; or sign "
            "one now: POST /audit/checkpoint"
        )
    return newest


def _text(data: bytes) -> Response:
    return Response(data, media_type="text/plain; charset=utf-8")
