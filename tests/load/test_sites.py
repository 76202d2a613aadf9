"""The measuring of many sites works; how quick they are is for people to read."""

from __future__ import annotations

from pathlib import Path

from tests.load.sites import measured


def test_each_thing_that_is_asked_of_all_sites_is_a_row(tmp_path: Path) -> None:
    """With two small ones."""
    rows = list(measured(tmp_path, sites=2, users=10, looks=2))
    assert [row["name"] for row in rows] == [
        "check of 2 sites, nothing due",
        "status of 2 sites",
        "overview of all, the first",
        "overview of all",
        "overview of one site",
    ]
