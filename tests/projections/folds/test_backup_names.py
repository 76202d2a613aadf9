"""Names of backup files: made, cleaned, refused and read again."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from projections.folds.backup_names import (
    Classified,
    InvalidBackupName,
    Kind,
    auto_backup_name,
    classify,
    free_name,
    is_protected,
    manual_backup_name,
    person_backup_name,
    pre_migration_backup_name,
    pre_restore_backup_name,
    with_suffix,
)

NOW = datetime(2025, 1, 13, 3, 0, 5, 999_999, tzinfo=UTC)
any_str = st.text(st.characters(), max_size=300)  # st.characters() includes surrogates
any_moment = st.datetimes(timezones=st.just(UTC))
user_ids = st.integers(1, 2**63 - 1)


def assert_plain(name: str) -> None:
    """What a file name must be, asked from the outside."""
    assert len(name.encode("utf-8")) <= 200
    assert name.endswith(".db")
    assert not name.startswith(".")
    assert name.removesuffix(".db").strip()
    assert not set(name) & set("/\\\0")
    for character in name:
        assert unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}
        assert unicodedata.bidirectional(character) not in {"LRE", "RLE", "LRO", "RLO", "PDF"}
        assert unicodedata.bidirectional(character) not in {"LRI", "RLI", "FSI", "PDI"}
        assert character not in "\u200e\u200f\u061c"


def test_the_four_names_are_the_ones_in_the_design() -> None:
    """Golden names: other programs look for them."""
    assert auto_backup_name(1, NOW) == "auto_backup_user1_2025-01-13T03-00-05.db"
    assert manual_backup_name("justice", NOW) == "justice_backup_2025-01-13T03-00-05.db"
    assert pre_restore_backup_name(NOW) == "pre_restore_backup_2025-01-13T03-00-05.db"
    assert pre_migration_backup_name(NOW) == "pre_migration_2025-01-13T03-00-05.db"


def test_the_time_in_a_name_is_in_utc() -> None:
    """Half past midnight in India is the evening before."""
    india = timezone(timedelta(hours=5, minutes=30))
    name = pre_migration_backup_name(datetime(2025, 1, 13, 0, 30, tzinfo=india))
    assert name == "pre_migration_2025-01-12T19-00-00.db"


def test_a_year_has_four_digits() -> None:
    """Names sort by time as text."""
    assert "_0033-01-01T" in auto_backup_name(1, datetime(33, 1, 1, tzinfo=UTC))


def test_a_naive_time_is_refused() -> None:
    """For every name that holds a time."""
    naive = datetime(2025, 1, 13)
    for make in (
        pre_restore_backup_name,
        pre_migration_backup_name,
        lambda now: auto_backup_name(1, now),
        lambda now: manual_backup_name("x", now),
    ):
        with pytest.raises(ValueError, match="has no time zone"):
            make(naive)


@pytest.mark.parametrize("user_id", [0, -1, 2**63])
def test_a_user_id_that_no_table_holds_is_refused(user_id: int) -> None:
    """Such a name would not lead back to its user."""
    with pytest.raises(ValueError, match="positive 64-bit"):
        auto_backup_name(user_id, NOW)


@given(user_ids, any_moment, st.integers(1, 10_000))
def test_a_scheduled_name_leads_back_to_its_user(user_id: int, now: datetime, number: int) -> None:
    """Also with a suffix; and it is a plain name."""
    name = with_suffix(auto_backup_name(user_id, now), number)
    assert classify(name) == Classified("scheduled", user_id)
    assert not is_protected(name)
    assert_plain(name)


CLASSIFIED: list[tuple[str, Kind, int | None]] = [
    ("auto_backup_user1_2025-01-13T03-00-00.db", "scheduled", 1),
    ("auto_backup_user1_.db", "scheduled", 1),
    ("auto_backup_user1_a\nb.db", "scheduled", 1),
    ("auto_backup_user9223372036854775807_x.db", "scheduled", 2**63 - 1),
    ("auto_backup_user9223372036854775808_x.db", "manual", None),
    ("auto_backup_user99999999999999999999_x.db", "manual", None),
    ("auto_backup_user0_x.db", "manual", None),
    ("auto_backup_user01_x.db", "manual", None),
    ("auto_backup_user-1_x.db", "manual", None),
    ("auto_backup_user\u0661_x.db", "manual", None),
    ("auto_backup_user_x.db", "manual", None),
    ("auto_backup_user1.db", "manual", None),
    ("Auto_backup_user1_x.db", "manual", None),
    ("my_auto_backup_user1_x.db", "manual", None),
    ("pre_migration_2025.db", "pre_migration", None),
    ("pre_migration_backup.db", "pre_migration", None),
    ("pre_migration.db", "manual", None),
    ("pre_restore_backup.db", "pre_restore", None),
    ("pre_restore_backup_2025.db", "pre_restore", None),
    ("pre_restore_2025.db", "manual", None),
    ("my_pre_migration_x.db", "manual", None),
    ("", "manual", None),
]


@pytest.mark.parametrize(("name", "kind", "user_id"), CLASSIFIED)
def test_a_name_is_classified_as_the_table_says(name: str, kind: Kind, user_id: int | None) -> None:
    """Owners only from exact names; protection exactly by prefix."""
    assert classify(name) == Classified(kind, user_id)
    assert is_protected(name) is (kind in {"pre_migration", "pre_restore"})


@pytest.mark.parametrize(
    ("kind", "protected"),
    [("pre_migration", True), ("pre_restore", True), ("manual", False), ("scheduled", False)],
)
def test_a_known_kind_protects_whatever_the_name(kind: Kind, protected: bool) -> None:
    """A pre-migration copy under another name is still one; a name's protection stays."""
    assert is_protected("before the upgrade.db", kind) is protected
    assert is_protected("pre_migration_x.db", kind)


@pytest.mark.slow
@given(any_str)
def test_classifying_never_fails(name: str) -> None:
    """A directory may hold any name; only a scheduled one has an owner."""
    found = classify(name)
    assert (found.user_id is not None) == (found.kind == "scheduled")


@settings(deadline=None)
@given(any_str, any_moment)
@example("", NOW)
@example("...", NOW)
@example(". .x", NOW)
@example(".hidden", NOW)
@example("a/../b", NOW)
@example("\udce4", NOW)
@example("é" * 150, NOW)
@example("😀" * 75, NOW)
@example("\u202egpj", NOW)
@example("pre_restore", NOW)
@example("pre_migration_x", NOW)
@example("auto_backup_user7_x", NOW)
@example("AUTO_BACKUP_USER", NOW)
@example("Pre_Migration_x", NOW)
def test_any_database_gets_a_plain_unprotected_manual_name(stem: str, now: datetime) -> None:
    """Whatever a database is called, its backup by hand has a name that people may type."""
    name = manual_backup_name(stem, now)
    assert_plain(name)
    assert classify(name) == Classified("manual", None)
    assert person_backup_name(name) == name
    assert "_backup_" in name


def test_an_ordinary_stem_is_not_changed() -> None:
    """Spaces, dots within, and other scripts are fine."""
    for stem in ("justice", "my data", "v1.2", "données", "資料"):
        assert manual_backup_name(stem, NOW).startswith(f"{stem}_backup_2025")


def test_a_clash_gets_the_first_free_suffix() -> None:
    """None, then _2, then _3; also for a file whose name is not UTF-8."""
    assert free_name("a.db", set().__contains__) == "a.db"
    assert free_name("a.db", {"a.db"}.__contains__) == "a_2.db"
    assert free_name("a.db", {"a.db", "a_2.db"}.__contains__) == "a_3.db"
    assert free_name("a.db", {"a_2.db", "a.db", "a_4.db"}.__contains__) == "a_3.db"
    assert free_name("\udc80.db", {"\udc80.db"}.__contains__) == "\udc80_2.db"


@given(st.integers(1, 12), st.integers(0, 250).map("é".__mul__))
def test_names_for_a_clash_are_all_different_and_fit(count: int, stem: str) -> None:
    """A name at the limit is cut for its suffix, not made longer."""
    names = [with_suffix(f"{stem}.db", number) for number in range(1, count + 1)]
    assert len(set(names)) == count
    for name in names[1:]:
        assert len(name.encode()) <= 200
        assert name.endswith(".db")


def test_there_is_no_name_number_zero() -> None:
    """They are numbered from 1."""
    with pytest.raises(ValueError, match="numbered from 1"):
        with_suffix("a.db", 0)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("before upgrade", "before upgrade.db"),
        ("x.db", "x.db"),
        ("x.DB", "x.DB.db"),
        ("v1.2", "v1.2.db"),
        ("Sicherung_ä😀", "Sicherung_ä😀.db"),
        ("..db", None),
        ("a" * 197, "a" * 197 + ".db"),
        ("a" * 197 + ".db", "a" * 197 + ".db"),
        ("a" * 198, None),
        ("é" * 98, "é" * 98 + ".db"),
        ("é" * 99, None),
        *((text, None) for text in ("", " ", ".db", "  .db", "\u3000", ".", "..", ".hidden")),
        *((text, None) for text in ("a/b", "../a", "/a", "a\\b", "C:\\a", "a/", "/")),
        *((f"a{bad}b", None) for bad in "\0\t\n\r\x1b\x7f\x85\x9b\u2028\u2029"),
        *((f"a{bad}b", None) for bad in "\u061c\u200e\u200f\u202a\u202e\u2066\u2069"),
        *((f"a{bad}b", None) for bad in "\ud800\udc80\udfff"),
    ],
)
def test_a_persons_name_is_taken_or_refused_as_the_table_says(text: str, name: str | None) -> None:
    """Golden cases of both, with messages that can be shown on a terminal."""
    if name is not None:
        assert person_backup_name(text) == name
        return
    with pytest.raises(InvalidBackupName, match="the backup name ") as refused:
        person_backup_name(text)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 800


@pytest.mark.parametrize(
    "text",
    [
        "auto_backup_user2_2026-12-24T03-00-00",
        "auto_backup_user",
        "pre_migration_mine.db",
        "pre_restore_backup_2026-12-24T03-00-00",
        "Pre_Migration_mine",
        "AUTO_BACKUP_USER7_x",
    ],
)
def test_a_persons_name_never_says_that_it_is_protected_or_another_users(text: str) -> None:
    """The beginnings are reserved, whatever their case; the former service passed one of them."""
    with pytest.raises(InvalidBackupName, match="reserved"):
        person_backup_name(text)
    if text.lower().startswith("auto_backup_user"):
        assert person_backup_name(text, allow_scheduled=True) == f"{text}.db"
    else:
        with pytest.raises(InvalidBackupName, match="reserved"):
            person_backup_name(text, allow_scheduled=True)
    assert person_backup_name(f"my_{text}").startswith("my_")


def refusal(text: str) -> str | None:
    """The message with which a person's name is refused, if it is."""
    try:
        person_backup_name(text)
    except InvalidBackupName as error:
        return str(error)
    return None


@settings(deadline=None)
@given(any_str)
def test_any_text_is_a_plain_name_or_an_error_that_can_be_shown(text: str) -> None:
    """What is accepted is plain, is the text itself, and is accepted again unchanged."""
    message = refusal(text)
    if message is not None:
        assert message.isprintable()
        return
    name = person_backup_name(text)
    assert_plain(name)
    assert name in {text, text + ".db"}
    assert person_backup_name(name) == name


@given(any_str)
def test_a_plain_text_is_never_refused(text: str) -> None:
    """Seen from the other side: a name is refused only for a reason one can find."""
    letters = "".join(character for character in text if character.isalnum())[:45]
    assert person_backup_name(f"a{letters}") == f"a{letters}.db"
