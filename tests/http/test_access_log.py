"""A line for each request, where it is asked for: who, what, how it ended; no secret."""

from __future__ import annotations

import pytest

from commands.http import create_app
from commands.http.middleware.access_log import logger
from tests.http.conftest import Place


def test_a_request_is_a_line_without_its_secrets(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Off by default; a query, a token and an address that works once stay out."""

    def lines() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.name == logger.name]

    token = place.token("operator")
    place.client().get("/database/stats")
    assert lines() == []
    site = place.world.site
    usual = site.configuration
    site.configuration = usual.model_copy(update={"http_access_log": True})
    try:
        logged = Place(place.world, create_app(place.app.state.served))
        client = logged.client()
        client.get("/database/runs?user_id=1")
        client.get("/database/downloads/abcdef")
        logged.stranger().get(f"/database/backups/{token}%0Aforged")
    finally:
        site.configuration = usual
    runs, download, forged = lines()
    assert runs.startswith("127.0.0.1 operator:")
    assert " GET /database/runs 200 " in runs
    assert " GET /database/downloads/*** 404 " in download
    assert forged.startswith("127.0.0.1 - GET /database/backups/*** 4")
    assert not [each for each in (runs, download, forged) if token in each or "\n" in each]
