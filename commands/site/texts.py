"""Text that a person gives: what may go into an event."""

from __future__ import annotations

from commands.errors import InvalidArgument

MAX_REASON_BYTES = 4_096


def checked_text(text: str, what: str) -> str:
    """A text given by a person: not blank, valid Unicode without NUL, at most 4,096 bytes.

    Raises:
        InvalidArgument: it is not.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidArgument(f"the {what} is not valid text; type it again") from None
    if "\0" in text:
        raise InvalidArgument(f"the {what} has a NUL character in it; type it again")
    if not text.strip():
        raise InvalidArgument(f"give a {what}: the auditor will want to know")
    if size > MAX_REASON_BYTES:
        raise InvalidArgument(f"the {what} has {size} bytes; at most {MAX_REASON_BYTES}")
    return text
