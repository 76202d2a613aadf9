"""Text that a person gives: what may go into an event, and what is said of what is wrong."""

from __future__ import annotations

import re

from commands.errors import InvalidArgument

MAX_REASON_BYTES = 4_096
_IN_OUR_WORDS = (
    (r"Input should be a valid integer.*", "use a whole number, such as 7"),
    (r"Input should be a valid number.*", "use a number, such as 2.5"),
    (r"Input should be a valid boolean.*", "use true or false"),
    (r"Input should be a valid string.*", "use text in quotes"),
    (r"Input is not a valid path.*", "use a path in quotes"),
    (r"Input should be a valid (?:dictionary|mapping).*", "use a table of names and values"),
    (r"Input should be a valid (?:tuple|list).*", 'use a list, such as ["one", "two"]'),
    (r"Input should be greater than or equal to (\S+)", r"use \1 or more"),
    (r"Input should be less than or equal to (\S+)", r"use \1 or less"),
    (r"Input should be greater than (\S+)", r"use more than \1"),
    (r"Input should be less than (\S+)", r"use less than \1"),
    (r"Input should be ('.*)", r"use \1"),
    (r"\S+ is not in the range x>=(\S+?)(?=[.;]|$)", r"use \1 or more"),
    (r"\S+ is not in the range (\S+?)<=x<=(\S+?)(?=[.;]|$)", r"use \1 to \2"),
    (r"String should have at least (\d+) characters?", r"use at least \1 characters"),
    (r"String should match pattern '\^https\?://.*", "use an address that begins with https://"),
    (r"String should match pattern '\^\(\[01\]\[0-9\].*", "use a time of day, such as 07:00"),
    (r"Field required", "it is missing"),
)
"""What the libraries that read settings and options say, and what a person is told."""


def in_our_words(message: str) -> str:
    """A library's sentence about a wrong value as ours; one that is not known stays as it is."""
    message = message.replace("Value error, ", "")
    for theirs, ours in _IN_OUR_WORDS:
        message = re.sub(theirs, ours, message)
    return message


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
