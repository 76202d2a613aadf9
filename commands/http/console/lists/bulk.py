"""One act on many rows: chosen, shown once more, and then a job with a result for each row.

Each row is done by the same command as alone, for the same caller; one that is refused is told, and
the others go on. All events of one job have one correlation.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from fastapi import HTTPException
from pydantic import BaseModel
from starlette.responses import RedirectResponse

from commands.errors import InvalidArgument
from commands.http.console.job import job_page
from commands.http.console.page import page
from commands.http.jobs import problem_shape
from commands.reporting.csv_cells import safe_cell
from commands.reporting.humanize import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fastapi import Request, Response

    from commands.http.callers import Caller
    from commands.http.jobs import Job, Tell
    from commands.http.served_site import ServedSite
    from ledger.append.ledger import Context
    from ledger.vocabulary import Role

Asked = TypeVar("Asked", bound=BaseModel)
MAX_ROWS = 10_000
SHOWN = 50
PICK = "pick."
CHANGING: tuple[Role, ...] = ("user", "operator")


class Row(NamedTuple):
    """What became of one row."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Order:
    """An act on some rows, as it was given."""

    served: ServedSite
    context: Context
    caller: Caller
    names: Sequence[str]
    form: dict[str, str]


@dataclass(frozen=True, slots=True)
class Act:
    """What can be done to many rows. `is_typed`: it is confirmed by typing what it is."""

    title: str
    done: str
    work: Callable[[Order, Tell], Iterable[Row]]
    roles: tuple[Role, ...] = CHANGING
    is_typed: bool = False


@dataclass(frozen=True)
class Bulk:
    """Acts on the rows of one list.

    `matching`: the names of all rows that the filters of an address find, up to a position.
    `checked`: raises where what was filled in is not good for any row.
    """

    kind: str
    thing: str
    path: str
    acts: dict[str, Act]
    matching: Callable[[ServedSite, Caller, dict[str, str], int], list[str]]
    checked: Callable[[str, dict[str, str]], object]

    def acts_of(self, caller: Caller) -> dict[str, Act]:
        """What a caller may do."""
        return {name: each for name, each in self.acts.items() if caller.role in each.roles}

    def answer(
        self,
        request: Request,
        caller: Caller,
        served: ServedSite,
        context: Context,
        form: dict[str, str],
    ) -> Response:
        """The page that asks once more, or the job.

        Raises:
            InvalidArgument: nothing was chosen, or too much.
            HTTPException: 403, the role may not do it; 422, there is no such act.
        """
        act = self._act(caller, form.get("act", ""))
        head = _position(form.get("head", ""), served.site.ledger.log_recorder.head().size)
        names = self._names(served, caller, form, head)
        if not form.get("confirmed"):
            return self._page(request, caller, form, names, head)
        problem = self._problem(act, names, form)
        if problem:
            return self._page(request, caller, form, names, head, problem)
        order = Order(served, context, caller, names, form)
        return RedirectResponse(job_page(self._start(order)), 303)

    def confirmation(self, act: Act, number: int) -> str:
        """What is typed before it is done."""
        return f"{act.title.lower()} {count(number, self.thing)}"

    def _act(self, caller: Caller, name: str) -> Act:
        act = self.acts.get(name)
        if act is None:
            raise HTTPException(422, f"choose what to do: {', '.join(self.acts_of(caller))}")
        if caller.role not in act.roles:
            raise HTTPException(403, f"the role {caller.role} may not {act.title.lower()} anything")
        return act

    def _names(
        self, served: ServedSite, caller: Caller, form: dict[str, str], head: int
    ) -> list[str]:
        if form.get("scope") == "all":
            found = self.matching(served, caller, form, head)
        elif form.get("names"):
            found = _named(form["names"])
        else:
            found = [name.removeprefix(PICK) for name in form if name.startswith(PICK)]
        if not found:
            raise InvalidArgument(f"no {self.thing} was chosen; tick some, or choose all found")
        if len(found) > MAX_ROWS:
            raise InvalidArgument(f"more than {MAX_ROWS:,} at once are too many; filter the list")
        return list(dict.fromkeys(found))

    def _problem(self, act: Act, names: Sequence[str], form: dict[str, str]) -> str | None:
        """Why nothing is done, if so."""
        if form.get("number") != str(len(names)):
            return "what the filters find has changed in the meantime; look at it again"
        try:
            self.checked(form["act"], form)
        except ValueError as error:
            return str(error)
        expected = self.confirmation(act, len(names))
        if act.is_typed and form.get("confirmation") != expected:
            return f"type {expected!r}; nothing was done"
        return None

    def _page(
        self,
        request: Request,
        caller: Caller,
        form: dict[str, str],
        names: list[str],
        head: int,
        problem: str | None = None,
    ) -> Response:
        act = self.acts[form["act"]]
        is_all = form.get("scope") == "all"
        hidden = {"act": form["act"], "head": str(head), "number": str(len(names))}
        more = {"scope": "all", "query": form.get("query", "")} if is_all else None
        return page(
            request,
            caller,
            "bulk.html",
            422 if problem else 200,
            bulk=self,
            act=act,
            number=len(names),
            shown=names[:SHOWN],
            hidden=hidden | (more or {"names": json.dumps(names)}),
            filled={name: form.get(name, "") for name in ("reason", "until", "level", "note")},
            problem=problem,
        )

    def _start(self, order: Order) -> Job:
        act = self.acts[order.form["act"]]

        def run(job: Job, tell: Tell) -> dict[str, Any]:
            rows = list(act.work(order, tell))
            job.file = order.served.jobs.new_file(f"{self.kind}.csv")
            with job.file.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(Row._fields)
                writer.writerows([safe_cell(row.name), row.ok, safe_cell(row.text)] for row in rows)
            failed = sum(not row.ok for row in rows)
            return {
                "ok": not failed,
                "message": f"{count(len(rows) - failed, self.thing)} {act.done}"
                + (f", {failed:,} not: see below." if failed else "."),
                "rows": [row._asdict() for row in sorted(rows, key=lambda row: row.ok)],
            }

        return order.served.jobs.start(self.kind, order.caller, run)


def one_by_one(order: Order, tell: Tell, act: Callable[[str], str]) -> Iterable[Row]:
    """A row for each name: what the act says, or why it was refused."""
    for number, name in enumerate(order.names):
        tell("one by one", number, len(order.names))
        yield row_of(name, act)


def row_of(name: str, act: Callable[[str], str]) -> Row:
    """One act, and what became of it."""
    try:
        return Row(name, ok=True, text=act(name))
    except Exception as error:  # noqa: BLE001  (it is what became of this row)
        return Row(name, ok=False, text=problem_shape(error)["detail"])


def asked_again(kind: type[Asked], form: dict[str, str]) -> Asked:
    """The filters of a list that a form of it repeats, as `query`."""
    given = dict(parse_qsl(form.get("query", "")[:_MAX_QUERY]))
    return kind.model_validate({name: given[name] for name in kind.model_fields if name in given})


_MAX_QUERY = 4_000


def _position(text: str, head: int) -> int:
    is_number = text.isascii() and text.isdigit()
    return min(int(text[:18]), head) if is_number else head


def _named(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise HTTPException(422, "the form cannot be read; choose again")
    return found
