"""Settings that are wrong: which one, and what to write instead, in words of this software."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from commands.errors import InvalidArgument
from commands.site.configuration import Configuration, load_configuration, wrong_setting

WORDS_OF_A_LIBRARY = ("Input", "String should", "Value error", "unable to parse", "Field")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sites = 3", "setting 'sites': use a table of names and values"),
        ('witnesses = [{url = "", key = ""}]', "'witnesses.0.url': use an address that begins"),
        ("witnesses = 3", "setting 'witnesses': use a list"),
        ('lease_seconds = "long"', "setting 'lease_seconds': use a whole number"),
        ("witness_quorum = -1", "setting 'witness_quorum': use 1 or more"),
        ('debug = "perhaps"', "setting 'debug': use true or false"),
        ("database = 3", "setting 'database': use a path in quotes"),
    ],
)
def test_wrong_setting_says_what_to_write(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(line)
    with pytest.raises(InvalidArgument) as caught:
        load_configuration(config=file)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", list(Configuration.model_fields))
def test_no_setting_answers_in_words_of_a_library(name: str) -> None:
    """Whatever stands there: a number, text, a list or a table that does not belong."""
    for wrong in (-1, 1.5, "§", "", [[]], {"x": {"y": 1}}, [{"x": 1}], 1 << 70):
        try:
            Configuration.model_validate({name: wrong})
        except ValidationError as error:
            said = wrong_setting(error)
            assert not [word for word in WORDS_OF_A_LIBRARY if word in said], said


def test_settings_that_are_no_text_file_are_refused(tmp_path: Path) -> None:
    """A folder, a pipe, bytes of another encoding: named, and never waited for."""
    pipe, folder, binary = tmp_path / "pipe", tmp_path / "folder", tmp_path / "binary"
    os.mkfifo(pipe)
    folder.mkdir()
    binary.write_bytes(b"\xff\xfe")
    for path in (pipe, folder):
        with pytest.raises(InvalidArgument, match="not a regular file"):
            load_configuration(config=path)
    with pytest.raises(InvalidArgument, match="not UTF-8 text"):
        load_configuration(config=binary)


def test_a_folder_in_the_usual_place_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "backup-ledger.toml").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument, match="not a regular file"):
        load_configuration()
