"""Passwords in URLs and messages are shown as ***: here, for every message, log and setting."""

from __future__ import annotations

import re

_URL = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?P<rest>[^\s'\"<>`]*)")
_NAMED = re.compile(
    r"(?i)\b(?P<name>[a-z_]*(?:password|passwd|passphrase|secret|token|api_?key))="
    r"(?P<value>[^\s&#;'\"<>`]+)"
)
MASK = "***"


def masked(text: str) -> str:
    """The text without the passwords of URLs (`user:PASSWORD@`) and settings (`password=...`).

    A password that was not escaped may hold / ? # : and @ itself: everything up to the last @ of
    an address belongs to it. Rather too much is masked than too little.
    """
    if "://" in text:
        text = _URL.sub(_masked_url, text)
    return _NAMED.sub(rf"\g<name>={MASK}", text) if "=" in text else text


def _masked_url(found: re.Match[str]) -> str:
    userinfo, at, rest = found["rest"].rpartition("@")
    user, colon, _ = userinfo.partition(":")
    if not (at and colon):
        return found[0]
    return f"{found['scheme']}{user}:{MASK}@{rest}"
