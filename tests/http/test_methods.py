"""HEAD as GET without its body, and `Allow` with every method that an address has."""

from __future__ import annotations

import re

import pytest

from commands.http.middleware.methods import STREAMS
from tests.http.conftest import Place


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/database/backup/schedule", "DELETE, GET, HEAD, POST"),
        ("/database/settings/7", "GET, HEAD, PUT"),
        ("/database/backups/a.db", "DELETE, GET, HEAD"),
        ("/database/backups/a.db/hold", "DELETE, POST"),
        ("/database/audit/follow", "GET"),
        ("/database/backup", "POST"),
        ("/health", "GET, HEAD"),
    ],
)
def test_what_an_address_does_not_do_is_refused_with_what_it_does(
    place: Place, path: str, methods: str
) -> None:
    """All of it, not the first route's method alone."""
    answer = place.client().request("PATCH", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)
    assert answer.headers["content-type"] == "application/problem+json"


def test_every_address_names_its_methods(place: Place) -> None:
    """405 with an `Allow` of exactly what the schema has, and HEAD beside GET."""
    client = place.client()
    for path, operations in place.app.openapi()["paths"].items():
        address = re.sub(r"\{\w+\}", "1", path)
        answer = client.request("PATCH", address)
        wanted = {each.upper() for each in operations}
        if "GET" in wanted and not STREAMS.search(address):
            wanted.add("HEAD")
        assert answer.status_code == 405, address
        assert set(answer.headers["allow"].split(", ")) == wanted, address


def test_head_says_what_get_would_say(place: Place) -> None:
    """The same status and headers, the length included, and no body; refusals too."""
    client = place.client()
    for path in ("/health", "/database/stats", "/database/backups", "/database/backups/none.db"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        assert int(head.headers["content-length"]) == len(get.content)
    assert place.stranger().head("/database/stats").status_code == 401
    assert client.head("/database/audit/follow").status_code == 405
