"""Answers of text come packed where that is worth it, and never beside a secret."""

from __future__ import annotations

import gzip

from tests.http.conftest import Place
from tests.http.test_console import log_in


def test_text_is_packed_and_a_backup_is_not(place: Place) -> None:
    """JSON from a size on, for whoever takes it; HEAD says what GET would."""
    client = place.client()
    for name in ("a", "b", "c"):
        client.post("/database/backup", json={"filename": name})
    path = "/database/backups?all=true"
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    packed = client.get(path, headers={"Accept-Encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert {plain.headers.get("vary"), packed.headers["vary"]} <= {None, "Accept-Encoding"}
    assert client.head(path).headers["content-length"] == packed.headers["content-length"]
    assert "content-encoding" not in client.get("/health").headers
    refused = client.get(path, headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers
    offered = client.post("/database/backups/a.db/download").headers["location"]
    assert "content-encoding" not in client.get(offered).headers


def test_pages_of_a_session_are_not_packed(place: Place) -> None:
    """They hold a secret beside what others wrote; the login page and scripts hold none."""
    visitor = log_in(place, "operator")
    assert "content-encoding" not in visitor.get("/console").headers
    documentation = place.stranger().get("/database/docs")
    assert documentation.headers["content-encoding"] == "gzip"
    assert gzip.compress(documentation.content)  # it was unpacked by the client
