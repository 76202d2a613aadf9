"""One forking process for all crash tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.aftermath import Forker


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    with Forker() as started:
        yield started
