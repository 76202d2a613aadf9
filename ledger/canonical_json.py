r"""Canonical JSON: one value, one sequence of bytes.

Source: RFC 8785 (JSON Canonicalization Scheme), restricted as the record format is:
keys are ASCII snake_case, numbers are integers within +-(2^53 - 1), strings are valid
Unicode. Under these limits sorting by code point is RFC 8785's sorting by UTF-16 unit.

    {"b": 1, "a": "é\n"}  ->  b'{"a":"\xc3\\xa9\\\\n","b":1}'
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, Final

from ledger.errors import RecordError

MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 8785 section 3.2.2.3)."""

ALL: Final = object()

_KEY = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
).encode


def canonical_bytes(value: Any, *, to_check: Any = ALL) -> bytes:
    """Encode a value.

    `to_check`: the part of it that is not known to have only keys and values of the format; the
    whole, unless it is given.

    Raises:
        RecordError: a key, number or string that the record format does not have, or values
            nested so deeply that they cannot be followed.
    """
    try:
        _check(value if to_check is ALL else to_check)
        encoded = _encode(value).encode()
    except RecursionError as error:
        raise RecordError("the value is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise RecordError(f"text with a lone surrogate cannot be stored: {error.reason}") from error
    return encoded


def parse_canonical(data: bytes) -> Any:
    """Decode bytes that `canonical_bytes` could have written, and no others.

    Raises:
        RecordError: no JSON, or JSON that is not in canonical form.
    """
    value = parse_json(data)
    if canonical_bytes(value) != data:
        raise RecordError("the bytes are JSON, but not in canonical form (RFC 8785)")
    return value


def parse_json(data: bytes) -> Any:
    """Decode JSON bytes without looking at their form.

    Raises:
        RecordError: no JSON in UTF-8, or text with a lone surrogate, which nothing can store.
    """
    try:
        value = json.loads(data.decode())
        if _SURROGATE.search(data):
            _encode(value).encode()
    except (ValueError, RecursionError) as error:
        raise RecordError(f"the bytes are not JSON: {error}") from error
    return value


@lru_cache(maxsize=4096)
def _is_key(key: str) -> bool:
    return _KEY.fullmatch(key) is not None


def _check(value: Any) -> None:
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return
    if kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise RecordError(f"the integer {value} is beyond +-(2^53 - 1)")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str or not _is_key(key):
                raise RecordError(f"the key {key!r} is not ASCII snake_case")
            kind = type(item)  # looked at here as well, because a call costs more
            if kind is not str and kind is not bool and item is not None:
                _check(item)
    elif kind is list or kind is tuple:
        for item in value:
            _check(item)
    else:
        raise RecordError(f"a {kind.__name__} cannot be stored: {value!r}")
