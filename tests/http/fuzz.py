"""Requests made from the schema, as each of the three roles: no 500, and nobody else's things.

python -m tests.http.fuzz --examples 500
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from commands.audit.keys import make_key
from commands.http import create_app
from commands.site import actors
from commands.upkeep.tokens import create_token
from ledger.clock import SystemClock
from tests.commands.world import World, make_database
from tests.http.in_process import client_of

ROLES = (("user", 1), ("operator", None), ("auditor", None))
OTHERS = "what-user-two-has"
STREAMS = ("/database/audit/follow", "/database/jobs/{job_id}/events")
"""They end when somebody hangs up, or by `limit`; tried by hand."""
HEAVY = ("/database/audit/verify", "/database/projections/{name}/rebuild")


class Leaked(AssertionError):
    """An answer that no caller of the role may get."""


@contextmanager
def place_with_two_users(folder: Path) -> Iterator[tuple[World, FastAPI, dict[str, str]]]:
    """A served place where user 2 has a secret, and a token of each role."""
    make_database(folder / "app.db")
    make_key("example.com/fuzz", folder / "ledger.key")
    world = World(folder, SystemClock(), {"checkpoint_key": folder / "ledger.key"})
    site = world.open()
    app = create_app(site)
    context = site.context(actors.operator())
    tokens = {role: create_token(site, context, role, user)[0] for role, user in ROLES}
    other = create_token(site, context, "user", 2)[0]
    client = client_of(app)
    client.headers["Authorization"] = f"Bearer {other}"
    made = client.post("/database/backup", json={"filename": OTHERS})
    assert made.status_code == 201, made.text
    client.post("/database/backup/schedule", json={})
    client.post("/database/settings/2/pause", json={"note": OTHERS})
    try:
        yield world, app, tokens
    finally:
        app.state.served.close()
        world.close()


def fuzz(app: FastAPI, tokens: dict[str, str], examples: int) -> int:
    """Try every operation so many times as each role; how many requests were made."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    client = client_of(app)
    made = 0

    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # an Err raises
        if operation.path in STREAMS:
            continue
        strategy = operation.as_strategy()

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=examples < 50,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy, role=st.sampled_from([role for role, _ in ROLES]))
        def attempt(case: Any, role: str) -> None:
            nonlocal made
            made += 1
            check_answer(client, case, role, tokens[role])

        attempt()
    return made


def check_answer(client: Any, case: Any, role: str, token: str) -> None:
    """Ask, and judge the answer.

    Raises:
        Leaked: a 500, a status that the schema lacks, or a user was told something of others.
    """
    given_arguments = case.as_transport_kwargs()
    headers = {str(name): str(value) for name, value in dict(given_arguments["headers"]).items()}
    headers = {n: v for n, v in headers.items() if n.lower() not in ("authorization", "host")}
    headers |= {"Authorization": f"Bearer {token}"}
    body = {name: given_arguments[name] for name in ("json", "content") if name in given_arguments}
    if "data" in given_arguments:
        body["content"] = given_arguments["data"]
    url = given_arguments["url"]
    try:
        request = client.build_request(
            case.method, url, headers=headers, params=given_arguments.get("params"), **body
        )
    except (ValueError, TypeError, AttributeError):
        return  # no HTTP library would send this
    except Exception as error:
        if type(error).__name__ == "InvalidURL":
            return
        raise
    answer = client.send(request)
    shown = f"{role} {case.method} {url} -> {answer.status_code} {answer.text[:300]}"
    if answer.status_code == 500:
        raise Leaked(shown)
    if str(answer.status_code) not in case.operation.definition.raw["responses"]:
        raise Leaked(f"the schema does not have this status: {shown}")
    asked = f"{request.url} {request.content!r}"
    if role == "user" and OTHERS in answer.text and OTHERS not in asked:
        raise Leaked(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200)
    wanted = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        place_with_two_users(Path(folder)) as (_world, app, tokens),
    ):
        made = fuzz(app, tokens, wanted.examples)
    sys.stdout.write(f"{made} requests, no 500, nothing of another user's\n")


if __name__ == "__main__":
    main()
