"""Nonsense given to every page and form of the console: an answer, never a 500 and never a leak."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.fuzz import OTHERS, place_with_two_users
from tests.http.in_process import client_of
from tests.http.test_console import fields_of

EXAMPLES = int(os.environ.get("CONSOLE_EXAMPLES", "60"))
LINES = ["", "0", "1", "2", "-1", "9" * 18, "9" * 30, "1e5", "../..", "a\x00b", "\x7f", "é", "<b>"]
WORDS = st.one_of(
    st.sampled_from([*LINES, f"{OTHERS}.db", "mine.db", "daily", "2025-13-45", "backup/1", "."]),
    st.text(max_size=30),
)
FIELDS = (
    *("user", "after", "state", "status", "cursor", "outcome", "since", "until", "type", "failed"),
    *("resource", "text", "limit", "position", "at", "user_id", "next"),
    *("name", "sort", "before", "month", "day", "older", "newer", "table"),
)
PAGES = (
    *("", "/schedules", "/schedules/new", "/schedules/{}", "/schedules/{}/preview", "/backups"),
    *("/backups/{}", "/backups/{}/restore", "/runs", "/runs/{}", "/jobs/{}", "/login", "/{}"),
    *("/audit", "/audit/events/{}", "/audit/story/{}", "/time-machine", "/projections"),
    *("/restore-points", "/compare", "/backups/{}/tables", "/backups.csv", "/runs.csv"),
    *("/schedules.csv", "/audit.csv"),
    *("/static/{}", "/api/{}", "/api/backups/{}"),
)
FORMS = (
    *("/backups", "/backups/{}/hold", "/backups/{}/release", "/backups/{}/verify"),
    *("/backups/{}/delete", "/backups/{}/restore", "/schedules/{}", "/schedules/{}/pause"),
    *("/backups/bulk", "/schedules/bulk", "/compare", "/backups/{}/tables"),
    *("/backups/{}/beside", "/backups/{}/download"),
    *("/schedules/{}/resume", "/login", "/audit/export", "/projections/{}/rebuild"),
)
FORM_FIELDS = (
    *("reason", "until", "level", "confirmation", "force", "filename", "user", "protect", "note"),
    *(
        "enabled",
        "frequency",
        "backup_time",
        "keep_count",
        "timezone",
        "cron",
        "token",
        "first_position",
        *("act", "scope", "query", "head", "number", "names", "confirmed", "older", "newer"),
        *("table", "mode"),
    ),
)


@pytest.mark.parametrize("role", ["user", "operator", "auditor"])
def test_no_page_and_no_form_breaks_or_leaks(tmp_path: Path, role: str) -> None:
    """As each role; what user 2 has stays unseen by user 1."""
    with place_with_two_users(tmp_path) as (_world, app, tokens):
        client = client_of(app)
        entered = client.post("/console/login", data={"token": tokens[role]})
        client.headers["Cookie"] = entered.headers["set-cookie"].partition(";")[0]
        csrf = fields_of(client, "/console/backups")["csrf"]

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(
            page=st.sampled_from(PAGES),
            form=st.sampled_from(FORMS),
            word=WORDS,
            query=st.dictionaries(st.sampled_from(FIELDS), WORDS, max_size=3),
            fields=st.dictionaries(st.sampled_from(FORM_FIELDS), WORDS, max_size=4),
        )
        def ask(
            page: str, form: str, word: str, query: dict[str, str], fields: dict[str, str]
        ) -> None:
            place = quote(word.encode("utf-8", "surrogatepass"), safe="")
            shown = client.get(f"/console{page.format(place)}", params=_encodable(query))
            assert shown.status_code < 500, (page, word, query, shown.text)
            if role == "user":
                assert f"{OTHERS}.db" not in shown.text.replace(f"{word}", ""), (page, word)
            sent = client.post(
                f"/console{form.format(place)}", data=_encodable(fields) | {"csrf": csrf}
            )
            assert sent.status_code < 500, (form, word, fields, sent.text)

        ask()


def _encodable(values: dict[str, str]) -> dict[str, str]:
    """What a browser can send: text without lone surrogates."""
    return {name: each.encode("utf-8", "replace").decode() for name, each in values.items()}
