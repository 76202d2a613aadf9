"""What differs between backups, and single tables put back: jobs, as a restore is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field

from commands.http.callers import Operator, Reader
from commands.http.comparisons import (
    compare_work,
    plan_tables_work,
    restore_tables_work,
)
from commands.http.jobs import started
from commands.http.ledger_route import Command, LedgerRoute, NoBody
from commands.http.routes.backups import MAX_NAME, own_backup
from commands.http.schema import also
from commands.http.served_site import Served
from commands.restore import LIVE
from commands.restore.tables import TablesWanted
from commands.shapes.jobs import CompareBackupsJob, PlanTablesJob, RestoreTablesJob
from ledger.vocabulary import TableMode

router = APIRouter(route_class=LedgerRoute, tags=["backups"])
MAX_TABLES = 200
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class DiffInput(BaseModel):
    """`with`: a later backup, or `live` for the database as it is now. `table`: show its rows."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"with": "live"}})

    other: Annotated[Name, Field(alias="with")] = LIVE
    table: Name | None = None


class TablesInput(BaseModel):
    """Which tables, and how: `in_place` by primary key, `exact`, or `beside` as new ones."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"tables": ["cases"], "mode": "in_place"}}
    )

    tables: Annotated[list[Name], Field(min_length=1, max_length=MAX_TABLES)]
    mode: TableMode = "in_place"

    def wanted(self) -> TablesWanted:
        return TablesWanted(tuple(self.tables), self.mode)


@router.post(
    "/backups/{filename}/diff",
    operation_id="compare_backup",
    response_model=CompareBackupsJob,
    responses=also(409),
    status_code=202,
    summary="What changed since a backup, as a job",
)
def compare(
    caller: Reader, served: Served, filename: str, body: DiffInput | NoBody = None
) -> Response:
    """Counts for each table; with `table` its first rows too, which takes an operator."""
    wanted = body or DiffInput()
    if wanted.table is not None and caller.role != "operator":
        raise HTTPException(403, f"the role {caller.role} may not see rows; it takes operator")
    own_backup(caller, served, filename)
    work = compare_work(served, filename, wanted.other, wanted.table)
    return started(served.jobs.start("compare", caller, work))


@router.post(
    "/backups/{filename}/tables/plan",
    operation_id="plan_table_restore",
    response_model=PlanTablesJob,
    responses=also(409),
    status_code=202,
    summary="What putting tables back would do, as a job",
)
def plan(caller: Operator, served: Served, filename: str, body: TablesInput) -> Response:
    own_backup(caller, served, filename)
    work = plan_tables_work(served, filename, body.wanted())
    return started(served.jobs.start("plan_tables", caller, work))


@router.post(
    "/backups/{filename}/tables/restore",
    operation_id="restore_tables",
    response_model=RestoreTablesJob,
    status_code=202,
    summary="Put tables back, as a job",
)
def restore(
    caller: Operator, context: Command, served: Served, filename: str, body: TablesInput
) -> Response:
    """What the database holds now is kept first, as a protected backup."""
    own_backup(caller, served, filename, context)
    work = restore_tables_work(served, context, filename, body.wanted())
    return started(served.jobs.start("restore_tables", caller, work))
