"""Messages for callers over HTTP: what to do is said in routes, not in commands to type."""

from __future__ import annotations

import re

_COMMAND = re.compile(
    r"`?\bbackup-ledger (?P<words>(?:audit|backup|config|erase|ledger|notify|offsite|projections"
    r"|retention|run|serve|settings|status|tokens)\b[^;,()`\n]*?)(?:`|(?=[;,()\n]|\.\s|\.?$))"
)
_ROUTES = {
    "audit log": "GET /audit/log",
    "audit checkpoint": "POST /audit/checkpoint",
    "audit verify": "POST /audit/verify",
    "backup list": "GET /backups",
    "backup show": "GET /backups/{filename}/details",
    "backup verify": "POST /backups/{filename}/verify",
    "backup create": "POST /backup",
    "offsite list": "GET /backups/{filename}/copies",
    "offsite status": "GET /offsite",
    "projections list": "GET /projections",
    "settings list": "GET /settings",
    "settings set": "PUT /settings/{user_id}",
}
_PATH = re.compile(r"(?<![\w/.:])/(?:[^/\s'\"`]+/)+(?=[^/\s])")
"""What stands before the name of a file whose path is given."""
_WITHOUT_ROUTE = "the command line on the server"


def over_http(text: str) -> str:
    """The same message with the route in place of each command."""
    return _COMMAND.sub(_route, text)


def without_folders(text: str, folders: tuple[str, ...]) -> str:
    """The same message with names alone where it has a path on the server.

    `folders`: those that are known, also with spaces; of any other path the last name stays.
    """
    for each in sorted(folders, key=len, reverse=True):
        text = text.replace(f"{each}/", "").replace(each, "the server's folder")
    return _PATH.sub("", text)


def _route(found: re.Match[str]) -> str:
    words = found["words"].split()
    if words[:2] == ["backup", "list"] and "--all" in words:
        return "GET /backups?all=true"
    return _ROUTES.get(" ".join(words[:2]), _WITHOUT_ROUTE)
