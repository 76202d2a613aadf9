"""Canonical JSON, against an independent implementation of RFC 8785."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.canonical_json import MAX_INTEGER, canonical_bytes, parse_canonical, parse_json
from ledger.errors import RecordError

keys = st.from_regex(r"[a-z][a-z0-9_]*", fullmatch=True)
integers = st.integers(-MAX_INTEGER, MAX_INTEGER)
leaves = st.none() | st.booleans() | integers | st.text()
values = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20
)


@pytest.mark.slow
@given(values)
@example({"b": [1, None, True], "a": '\x00\x1f\x7f\u2028\U0001f600"\\/é'})
@example({"a_": 0, "a": 0, "a1": -MAX_INTEGER})
def test_bytes_are_those_of_an_independent_implementation(value: Any) -> None:
    """Whoever has another RFC 8785 library computes the same leaf hashes."""
    assert canonical_bytes(value) == rfc8785.dumps(value)


@pytest.mark.slow
@given(values)
def test_what_was_written_can_be_read(value: Any) -> None:
    """Decoding gives back the value that was encoded."""
    assert parse_canonical(canonical_bytes(value)) == value


def test_a_tuple_is_written_as_a_list() -> None:
    """Python has two kinds of list, JSON has one."""
    assert canonical_bytes((1, (2,))) == b"[1,[2]]"


@pytest.mark.parametrize("integer", [MAX_INTEGER, -MAX_INTEGER])
def test_the_largest_exact_integers_are_allowed(integer: int) -> None:
    """The limit itself still belongs to the format."""
    assert canonical_bytes(integer) == str(integer).encode()


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        0.5,
        float("nan"),
        float("inf"),
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        b"bytes",
        {1, 2},
        object(),
        "\ud800",
        "a\udfffb",
    ],
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"key": v}])
def test_a_value_that_the_format_does_not_have_is_refused(value: Any, wrap: Any) -> None:
    """Wherever it stands, nothing is rounded, replaced or left out."""
    with pytest.raises(RecordError):
        canonical_bytes(wrap(value))


@pytest.mark.parametrize(
    "key",
    [
        True,
        None,
        1,
        1.5,
        "",
        "Key",
        "camelCase",
        "1st",
        "_private",
        "with space",
        "kebab-case",
        "é",
        "\u0660",
        "key\n",
        "\ud800",
    ],
)
def test_a_key_that_is_not_ascii_snake_case_is_refused(key: Any) -> None:
    """Only such keys sort alike in every language."""
    with pytest.raises(RecordError):
        canonical_bytes({"fine": [{key: 1}]})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a": 1}',
        b'{"a":1} ',
        b'\n{"a":1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'"a\\/b"',
        b'"\\u0041"',
        b'"\\u000a"',
        b'"\\u001F"',
        b'"\x7f\\u007f"',
        b'"\\ud83d\\ude00"',
        b'"\\ud800"',
        b'"tab\there"',
        b"1.0",
        b"1e2",
        b"1E400",
        b"-0",
        b"+1",
        b"01",
        b"9007199254740992",
        b"1" * 5000,
        b"NaN",
        b"Infinity",
        b"[1,]",
        b"'a'",
        b'{"A":1}',
        b"\xef\xbb\xbf1",
        b"\xff",
        b'"\xed\xa0\x80"',
        b"1 2",
        b"\x00",
    ],
)
def test_bytes_in_another_form_are_refused(data: bytes) -> None:
    """One value has one sequence of bytes, or hashes could not be compared."""
    with pytest.raises(RecordError):
        parse_canonical(data)


@given(st.binary(max_size=40))
def test_any_bytes_give_a_value_or_a_record_error(data: bytes) -> None:
    """Whatever stands in a row, reading it ends in an answer, and only in its own form."""
    try:
        value = parse_canonical(data)
    except RecordError:
        return
    assert canonical_bytes(value) == data


@pytest.mark.slow
@given(values, st.integers(0, 3))
def test_the_same_value_with_spaces_is_refused(value: Any, indent: int) -> None:
    """JSON that is only pretty is not what was hashed."""
    pretty = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    if pretty == canonical_bytes(value):
        return  # a bare scalar or an empty list looks the same either way
    with pytest.raises(RecordError):
        parse_canonical(pretty)


@pytest.mark.parametrize("depth", [500, 900, 990, 1_000, 5_000, 100_000])
def test_deep_nesting_is_a_record_error_or_a_value_but_never_a_crash(depth: int) -> None:
    """A record made to exhaust the stack is refused like any other bad one."""
    data = b"[" * depth + b"]" * depth
    try:
        value = parse_canonical(data)
    except RecordError:
        return
    assert canonical_bytes(value) == data


def test_nesting_that_python_cannot_follow_is_refused_when_written() -> None:
    """Also a list that contains itself."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecordError, match="nested too deeply"):
        canonical_bytes(endless)


def test_reading_without_looking_at_the_form_still_wants_json() -> None:
    """`parse_json` is for records whose form `verify` has judged."""
    assert parse_json(b'{ "b": 1, "a": 2 }') == {"a": 2, "b": 1}
    with pytest.raises(RecordError, match="not JSON"):
        parse_json(b"\xff")
