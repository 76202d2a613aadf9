"""Repositories of version 1 are read for ever: by us, by restore.py, by age and zstd alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from commands.offsite.repository.folder_store import FolderStore
from commands.offsite.repository.layout import READER, pack_path, reader_bytes
from commands.offsite.worker.fetch import fetch_copy
from commands.offsite.worker.jobs import FetchJob
from tests.commands.offsite.make_golden import GOLDEN
from tests.commands.offsite.programs import environment_with_programs
from tests.commands.offsite.repositories import nothing

Case = tuple[Path, list[str], dict[str, Any]]
EXPECTED = {
    path.parent.name: json.loads(path.read_text()) for path in GOLDEN.glob("*/expected.json")
}
CASES: list[Case] = [
    (GOLDEN / name / "repository", expected["identities"], copy)
    for name, expected in sorted(EXPECTED.items())
    for copy in expected["copies"]
]
every_copy = pytest.mark.parametrize(
    "case", CASES, ids=[f"{case[0].parent.name} {case[2]['filename']}" for case in CASES]
)


def run_reader(case: Case, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    repository, identities, _copy = case
    key = tmp_path / "key.txt"
    key.write_text("# a comment\n" + "".join(f"{each}\n" for each in identities))
    programs = tmp_path / "programs"
    programs.mkdir()
    given = ["--identity", str(key)] if identities else []
    return subprocess.run(
        [sys.executable, "-I", "-S", repository / READER, *arguments, *given],
        env=environment_with_programs(programs),
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_case_of_the_format_is_there() -> None:
    """Two page sizes, no SQLite header, a short last chunk, no chunk, clear, not shared."""
    assert set(EXPECTED) == {"clear", "large-pages", "shared", "whole"}
    sizes = {copy["size"] for copy in EXPECTED["shared"]["copies"]}
    assert {0, 10_001} < sizes


@every_copy
def test_we_restore_it(case: Case, tmp_path: Path) -> None:
    repository, identities, copy = case
    path = tmp_path / "out.db"
    fields = {name: copy[name] for name in copy if name not in ("filename", "pack_names")}
    job = FetchJob(
        url="file:///unused", options={}, path=str(path), identities=identities, **fields
    )
    fetch_copy(FolderStore(repository), job, nothing)
    assert sha256(path.read_bytes()).hexdigest() == copy["sha256"]


@every_copy
def test_the_reader_that_lies_beside_it_restores_it(case: Case, tmp_path: Path) -> None:
    """With Python's standard library, age and zstd; never over a file that is there."""
    copy, path = case[2], tmp_path / "out.db"
    finished = run_reader(case, tmp_path, copy["copy_id"], "--out", str(path))
    assert finished.returncode == 0, finished.stderr
    assert "not proved" in finished.stdout
    assert sha256(path.read_bytes()).hexdigest() == copy["sha256"]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_reader_lists_times_sources_and_names(name: str, tmp_path: Path) -> None:
    expected = EXPECTED[name]
    case = (GOLDEN / name / "repository", expected["identities"], {})
    listed = run_reader(case, tmp_path, "--list").stdout.splitlines()
    assert len(listed) == len(expected["copies"])
    for line, copy in zip(listed, expected["copies"], strict=True):
        assert line.startswith("2025-01-13T")
        assert copy["copy_id"] in line
        assert line.endswith(copy["filename"].encode("unicode_escape").decode())


@pytest.mark.parametrize("copy", EXPECTED["whole"]["copies"], ids=lambda copy: copy["filename"])
def test_age_and_zstd_alone_restore_a_copy_that_shares_nothing(
    copy: dict[str, Any], tmp_path: Path
) -> None:
    """The one line of README.txt."""
    repository, key = GOLDEN / "whole" / "repository", tmp_path / "key.txt"
    key.write_text(EXPECTED["whole"]["identities"][0] + "\n")
    paths = [repository / pack_path(bytes.fromhex(name)) for name in copy["pack_names"]]
    script = f"for p in {' '.join(map(str, paths))}; do age -d -i {key} $p; done | zstd -dc"
    finished = subprocess.run(
        ["sh", "-c", script],
        env=environment_with_programs(tmp_path),
        capture_output=True,
        check=True,
    )
    assert sha256(finished.stdout).hexdigest() == copy["sha256"]


def test_the_reader_is_short_enough_to_be_read() -> None:
    """At most 80 lines, of the standard library; the one that new repositories get."""
    assert len(reader_bytes().decode().splitlines()) <= 80


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_the_reader_refuses_a_damaged_pack(damage: str, tmp_path: Path) -> None:
    """It exits with an error and says which file."""
    repository = tmp_path / "repository"
    shutil.copytree(GOLDEN / "shared" / "repository", repository)
    copy = EXPECTED["shared"]["copies"][0]
    pack = repository / pack_path(bytes.fromhex(copy["pack_names"][0]))
    content = pack.read_bytes()
    if damage == "gone":
        pack.unlink()
    else:
        pack.write_bytes(content[:-1] if damage == "cut" else content[:-1] + b"\x00")
    case = (repository, EXPECTED["shared"]["identities"], copy)
    finished = run_reader(case, tmp_path, copy["copy_id"], "--out", str(tmp_path / "out.db"))
    assert finished.returncode != 0
    assert pack.name in finished.stderr


@pytest.mark.parametrize("wrong", ["copy", "out", "identity", "no identity", "no out"])
def test_the_reader_says_what_is_wrong_in_words(wrong: str, tmp_path: Path) -> None:
    """Whoever is in need is not shown a traceback."""
    copy, out = EXPECTED["shared"]["copies"][0], tmp_path / "out.db"
    identities = EXPECTED["shared"]["identities"]
    case = (GOLDEN / "shared" / "repository", identities[: wrong != "no identity"], copy)
    arguments = [copy["copy_id"], "--out", str(out)]
    if wrong == "copy":
        arguments[0] = "nonsense"
    elif wrong == "out":
        out.write_bytes(b"precious")
    elif wrong == "no out":
        del arguments[1:]
    reader = tmp_path / "repository"
    shutil.copytree(case[0], reader)
    (reader / READER).write_bytes(reader_bytes())
    if wrong == "identity":
        arguments += ["--identity", str(tmp_path / "nowhere.txt")]
        case = (reader, [], copy)
    finished = run_reader((reader, *case[1:]), tmp_path, *arguments)
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    hint = {
        "copy": "UUID",
        "out": "exists",
        "identity": "nowhere.txt",
        "no identity": "give --identity FILE",
        "no out": "give --out FILE",
    }
    assert hint[wrong] in finished.stderr
    assert not out.exists() or out.read_bytes() == b"precious"
