"""The collector is put off for a batch, and stays as its owner had it."""

from __future__ import annotations

import gc

import pytest

from projections.projector.garbage import collected_later


@collected_later()
def batch() -> None:
    raise ValueError(f"{gc.isenabled()}")


@pytest.mark.parametrize("was_enabled", [True, False])
def test_the_collector_is_off_for_a_while_and_then_as_before(*, was_enabled: bool) -> None:
    """Also when the batch fails."""
    (gc.enable if was_enabled else gc.disable)()
    try:
        with pytest.raises(ValueError, match="False"):
            batch()
        assert gc.isenabled() is was_enabled
    finally:
        gc.enable()
