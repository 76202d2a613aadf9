"""The page of the API works without the net, and shows every operation of the schema."""

from __future__ import annotations

import re

from tests.http.conftest import Place


def test_the_page_shows_every_operation_and_loads_nothing_of_others(place: Place) -> None:
    """No script at all, a style sheet and an icon of our own, links within."""
    stranger = place.stranger()
    page = stranger.get("/database/docs")
    assert page.status_code == 200
    paths = stranger.get("/database/openapi.json").json()["paths"]
    names = {each["operationId"] for operations in paths.values() for each in operations.values()}
    assert names <= set(re.findall(r'<details id="(\w+)">', page.text))
    assert "<script" not in page.text
    links = set(re.findall(r'(?:src|href)="([^"]*)"', page.text))
    assert {
        each for each in links if not each.startswith(("#", "/console", "openapi.json"))
    } == set()
    for each in links:
        if "/static/" in each:
            assert stranger.get(each).status_code == 200
