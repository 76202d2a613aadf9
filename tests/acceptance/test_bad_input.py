"""Whatever goes wrong: the right exit code, one line that helps, nothing lost.

Each case is tried where a ledger, a backup and settings are. Nothing of them may change,
except that the ledger may say what failed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.acceptance.place import (
    CONFLICT,
    NOT_FOUND,
    USAGE,
    Place,
    make_database,
    require_clear,
)


@dataclass(frozen=True)
class Case:
    """A command that must be refused, with what its message names."""

    code: int
    says: str
    args: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.args)[:60].encode("ascii", "backslashreplace").decode()


def case(code: int, says: str, *args: str) -> Case:
    return Case(code, says, args)


def names(*command: str) -> list[Case]:
    """File names that no backup can have."""
    return [
        case(USAGE, "plain name", *command, "a/../../evil"),
        case(USAGE, "plain name", *command, "/etc/passwd"),
        case(USAGE, "plain name", *command, "a\\b"),
        case(USAGE, "begins with a dot", *command, ".."),
        case(USAGE, "begins with a dot", *command, ".hidden"),
        case(USAGE, "U+0000", *command, "a\0b"),
        case(USAGE, "U+000A", *command, "a\nb"),
        case(USAGE, "U+001B", *command, "a\x1b[31mb"),
        case(USAGE, "U+202E", *command, "a\u202eb"),
        case(USAGE, "at most 200", *command, "x" * 300),
        case(USAGE, "at most 200", *command, "é" * 150),
        case(USAGE, "blank", *command, ""),
        case(USAGE, "blank", *command, "  "),
        case(USAGE, "U+DCFF", *command, "a\udcff"),
    ]


def unknown(*command: str, after: tuple[str, ...] = ()) -> list[Case]:
    """Names of backups that are not there, however they are spelled."""
    absent = ("nothing.db", "a\x1b[31m", "x" * 300, "link.db")
    wrong = ("../app.db", "a\0b", "")
    return [
        *(case(NOT_FOUND, "there is no backup", *command, name, *after) for name in absent),
        *(case(USAGE, "not a plain file name", *command, name, *after) for name in wrong),
    ]


BACKUPS = [
    *names("backup", "create"),
    case(CONFLICT, "choose another name", "backup", "create", "one.db"),
    case(CONFLICT, "choose another name", "backup", "create", "link"),
    *unknown("backup", "show"),
    *unknown("backup", "verify"),
    *unknown("backup", "delete", after=("--yes",)),
    *unknown("backup", "restore", after=("--yes",)),
    *unknown("backup", "restore", after=("--plan",)),
    *unknown("backup", "hold", after=("--reason", "why")),
    *unknown("backup", "release"),
    case(USAGE, "give either names or --all", "backup", "verify"),
    case(USAGE, "give either names or --all", "backup", "verify", "one.db", "--all"),
    case(USAGE, "give either names or --all", "backup", "verify", "--due", "--all"),
    case(USAGE, "a part is one of", "backup", "verify", "one.db", "--part", "1/2"),
    *(
        case(USAGE, "such as 2/7", "backup", "verify", "--all", "--part", part)
        for part in ("0/2", "3/2", "1/0", "1", "a/b", "-1/2", "1/2/3", "9999999/9999999", "")
    ),
    case(USAGE, "'thorough'", "backup", "verify", "--all", "--level", "thorough"),
    case(USAGE, "Give --yes", "backup", "delete", "one.db"),
    case(USAGE, "Give --yes", "backup", "restore", "one.db"),
    case(CONFLICT, "already exists", "backup", "restore", "one.db", "--to", "app.db"),
    case(NOT_FOUND, "check the path", "backup", "restore", "one.db", "--to", "no/such/x.db"),
    case(USAGE, "--reason", "backup", "hold", "one.db"),
    case(USAGE, "give a reason", "backup", "hold", "one.db", "--reason", "  "),
    case(USAGE, "4096", "backup", "hold", "one.db", "--reason", "x" * 5_000),
    case(USAGE, "has passed", "backup", "hold", "one.db", "--reason", "x", "--until", "2001-01-01"),
    case(
        USAGE, "not a date or time", "backup", "hold", "one.db", "--reason", "x", "--until", "soon"
    ),
]
USER_IDS = (
    "0",
    "-1",
    "+5",
    "1_0",
    "1.0",
    "\u0663",
    "9223372036854775808",
    "9" * 40,
    "one",
    "",
    " 1",
)
SETTINGS = [
    *(case(USAGE, "", "settings", "set", user_id) for user_id in USER_IDS),
    *(case(USAGE, "", "settings", "show", user_id) for user_id in USER_IDS),
    *(case(USAGE, "", "retention", "apply", "3", "--user", user_id) for user_id in USER_IDS),
    *(case(USAGE, "", "backup", "create", "--user", user_id) for user_id in USER_IDS),
    *(
        case(USAGE, "not a time of day", "settings", "set", "1", "--time", time)
        for time in (
            "24:00",
            "3:00",
            "03:60",
            "03-00",
            "",
            "\u0660\u0663:\u0660\u0660",
            "03:00:00",
            "x" * 500,
        )
    ),
    *(
        case(USAGE, "out of range", "settings", "set", "1", "--keep", count)
        for count in ("0", "31", "-1", "99999999999999999999")
    ),
    case(USAGE, "--keep", "settings", "set", "1", "--keep", "many"),
    case(USAGE, "not a valid frequency", "settings", "set", "1", "--frequency", "hourly"),
    case(USAGE, "no time zone", "settings", "set", "1", "--timezone", "Mars/Base"),
    case(USAGE, "no time zone", "settings", "set", "1", "--timezone", "../../etc/passwd"),
    case(NOT_FOUND, "has no backup settings", "settings", "show", "9"),
    case(NOT_FOUND, "has no backup settings", "settings", "pause", "9"),
    case(NOT_FOUND, "has no backup settings", "settings", "preview", "9"),
    case(USAGE, "--count", "settings", "preview", "1", "--count", "0"),
]
OTHERS = [
    *(case(USAGE, "1 to 30", "retention", "apply", keep, "--user", "1") for keep in ("0", "31")),
    *(case(USAGE, "1 to 30", "retention", "preview", keep, "--global") for keep in ("0", "31")),
    case(USAGE, "'many'", "retention", "apply", "many", "--global"),
    case(USAGE, "days_old", "retention", "cleanup-protected", "--days", "-1"),
    *(
        case(USAGE, "not a date or time", "audit", "log", "--since", moment)
        for moment in ("yesterday", "2025-13-01", "2025-01-13T25:00", "20250113", "", "2025-02-30")
    ),
    case(USAGE, "not a date or time", "audit", "log", "--until", "0001-01-01T00:00+14:00"),
    case(USAGE, "--limit", "audit", "log", "--limit", "0"),
    case(NOT_FOUND, "nothing is recorded", "audit", "history", "backup/../x"),
    case(NOT_FOUND, "nothing is recorded", "audit", "history", "\x1b[31m"),
    case(NOT_FOUND, "nonsense", "projections", "rebuild", "nonsense"),
    case(USAGE, "No such option", "status", "--nonsense"),
    case(USAGE, "nonsense", "nonsense"),
    case(USAGE, "nonsense", "backup", "nonsense"),
    case(USAGE, "extra", "status", "more"),
    case(USAGE, "Missing argument", "settings", "set"),
]


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One backup, one user, and a symbolic link that somebody put into the folder."""
    place = Place(tmp_path_factory.mktemp("place"))
    make_database(place.database)
    place.done("backup", "create", "one")
    place.done("settings", "set", "1")
    (place.backups / "link.db").symlink_to(place.database)
    return place


@pytest.fixture
def lived_in(shared_place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """All cases share it: that nothing of it changes is what is tested."""
    monkeypatch.chdir(shared_place.folder)
    return shared_place


@pytest.mark.parametrize("bad", [*BACKUPS, *SETTINGS, *OTHERS], ids=str)
def test_what_cannot_be_done_is_refused_and_nothing_is_lost(bad: Case, lived_in: Place) -> None:
    """Files stay as they are; the ledger grows by failures only."""
    files, events = lived_in.files(), lived_in.events()
    ended = lived_in.run(*bad.args)
    require_clear(ended, bad.code, bad.says)
    assert lived_in.files() == files
    after = lived_in.events()
    assert after[: len(events)] == events
    succeeded = {event["event_type"] for event in after[len(events) :] if event["success"]}
    assert succeeded <= {"backup_catalog.backup_verified", "backup_restore.started"}


def test_errors_are_json_where_the_answer_would_be(place: Place) -> None:
    """One line on stderr with the exit code, nothing on stdout; also for wrong usage."""
    place.done("backup", "create", "one")
    for command, code in (("backup show none.db", 4), ("backup show", 2), ("backup nonsense", 2)):
        ended = place.run(*command.split(), "--json")
        assert (ended.code, ended.out) == (code, "")
        said = json.loads(ended.err)
        assert said["exit_code"] == code
        assert said["error"]
        assert set(said) == {"error", "exit_code"}
