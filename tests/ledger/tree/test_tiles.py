"""Paths and contents of tiles, as the specification has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tree.tiles import (
    WIDTH,
    TileError,
    TilePlace,
    bundles_between,
    decode_bundle,
    encode_bundle,
    tiles_between,
)


def test_the_paths_of_the_specifications_example() -> None:
    """https://c2sp.org/tlog-tiles: a tree of 70,000 entries."""
    paths = [each.path for each in tiles_between(0, 70_000)]
    assert paths[:2] == ["tile/0/000", "tile/0/001"]
    assert paths[272:274] == ["tile/0/272", "tile/0/273.p/112"]
    assert paths[274:] == ["tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert TilePlace(0, 1_234_067, WIDTH).path == "tile/0/x001/x234/067"
    assert TilePlace(-1, 999, WIDTH).path == "tile/entries/999"
    assert TilePlace(-1, 1_000, 3).path == "tile/entries/x001/000.p/3"


@given(st.integers(0, 200_000), st.integers(0, 3_000))
def test_what_was_published_and_what_comes_after_is_all_there_is(before: int, more: int) -> None:
    """Whole tiles of the smaller tree are not written again; nothing is left out."""
    size = before + more
    everything = {each.path for each in (*tiles_between(0, size), *bundles_between(0, size))}
    first = {each.path for each in (*tiles_between(0, before), *bundles_between(0, before))}
    then = [each.path for each in (*tiles_between(before, size), *bundles_between(before, size))]
    assert everything <= first | set(then)
    whole = {path for path in first if ".p/" not in path}
    assert not whole & set(then)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_gives_back_its_records(records: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(records)) == records


def test_an_erased_record_is_an_entry_of_length_zero() -> None:
    assert encode_bundle([b"a", None]) == b"\x00\x01a\x00\x00"


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x05abc", b"\x00\x01a\x01"])
def test_a_bundle_that_is_cut_is_refused(data: bytes) -> None:
    with pytest.raises(TileError):
        decode_bundle(data)
