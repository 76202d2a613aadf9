"""What this project promises about itself: sizes, imports, and a README that tells the truth."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SLOW_FOLDERS
from tests.readme import ROOT, blocks

MAX_FILE_LINES = 400
MAX_TEST_LINES = 450
LONGER = {"verify_evidence.py": 440}
"""One file on purpose: an auditor reads and runs it alone (decision 46)."""
MAX_MODULES = 20
"""A folder with more is a bag."""
MAX_FUNCTION_LINES = 60
CODE = ("ledger", "projections", "commands", "tests")
SOURCES = {".py", ".html", ".js"}
NOT_OURS = re.compile(
    r"(\.(?!ci$).*|__pycache__|mutants|build|dist|.*\.egg-info|backup-ledger-demo.*)"
)
"""Folders that are made, not written."""
MACHINE_PATH = re.compile(rb"(?<![\w.~-])/(root|home|Users|work|farm)/")

GONE = re.compile(
    r"\b(?:Door|RequestBook|JobBoard|Brake|ReadingOnly|together_or_alone|leaves_it_to_others"
    r"|is_untold|everybodys|new_backups)\b"
    r"|\bfor ever\b|\bso many bytes\b|\bcatalogues?\b|\blives through\b|\banother door\b"
    r"|\b[Pp]lease look at\b|(?<!there )(?<!There )\bis no (?:valid|date|time|frequency|ledger"
    r"|plain|bundle|checkpoint|folder|file|hash|point|record|backup|destination|key|next)\b"
)
"""Words that docs/GLOSSARY.md replaced, and phrases that had to be read twice."""
KEPT_WORDS = {
    "ledger/verify_evidence.py",  # bundles of released versions hold its bytes
    "ledger/append/databases/guards.py",  # triggers are compared with what servers hold
    "ledger/evidence/readme.py",  # it goes with the verifier
}

needs_posix = pytest.mark.skipif(os.name != "posix", reason="the script is for POSIX shells")


def written_files(folder: Path = ROOT) -> Iterator[Path]:
    """Every file that somebody wrote."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            if not NOT_OURS.fullmatch(entry.name):
                yield from written_files(entry)
        elif entry.name != ".git":  # a file in a worktree; it names where the others are
            yield entry


def code_files() -> list[Path]:
    return [path for each in CODE for path in sorted((ROOT / each).rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", code_files(), ids=name_of)
def test_a_file_is_one_noun_and_a_function_one_thought(path: Path) -> None:
    """Neither grows beyond what a reader can hold."""
    text = path.read_text("utf-8")
    lines = len(text.splitlines())
    most = LONGER.get(path.name, MAX_FILE_LINES)
    assert lines <= most, f"{name_of(path)} has {lines} lines; cut it by its nouns"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            where = f"{name_of(path)}:{node.lineno} {node.name}"
            assert length <= MAX_FUNCTION_LINES, f"{where} has {length} lines"


def folders() -> list[Path]:
    """The folders of the three packages."""
    return sorted({path.parent for path in code_files() if "tests" not in path.parts})


@pytest.mark.parametrize("folder", folders(), ids=name_of)
def test_a_folder_is_no_bag_and_has_a_face(folder: Path) -> None:
    """At most twenty modules, and a docstring that says what is in there."""
    modules = sorted(path.name for path in folder.glob("*.py") if path.name != "__init__.py")
    assert len(modules) <= MAX_MODULES
    face = ast.parse((folder / "__init__.py").read_text("utf-8"))
    assert ast.get_docstring(face)


def test_folders_of_slow_tests_are_there() -> None:
    """A folder that was renamed would be in the quick inner loop without a word."""
    assert [each for each in SLOW_FOLDERS if not (ROOT / "tests" / each).is_dir()] == []


def test_commands_holds_rooms_only() -> None:
    """What would stand beside the rooms has a room."""
    beside = {path.name for path in (ROOT / "commands").glob("*.py")}
    assert beside == {"__init__.py", "errors.py"}


FACTS = re.compile(
    r"_?(MAX_USER_ID|(?:KEEP_COUNT|MAX|MIN)_(?:MAX|MIN|KEEP_COUNT)|MEBIBYTE|MEGABYTE|Role|Engine|Kind)"
)


def defined_in(path: Path) -> Iterator[tuple[str, ast.expr]]:
    """The names that a module sets, and what to."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value


def test_limits_and_sets_of_words_have_one_home() -> None:
    """What two modules write down each for itself will one day differ."""
    homes: dict[str, list[str]] = {}
    for path in code_files():
        if "tests" not in path.parts:
            for name, value in defined_in(path):
                if FACTS.fullmatch(name):
                    homes.setdefault(name, []).append(name_of(path))
                if isinstance(value, ast.Subscript) and ast.unparse(value.value) == "Literal":
                    homes.setdefault(ast.unparse(value), []).append(name_of(path))
    assert "MAX_USER_ID" in homes
    assert {fact: found for fact, found in homes.items() if len(found) > 1} == {}


def test_imports_go_one_way() -> None:
    """From room to room as the contract in pyproject.toml has it, and never in a circle."""
    linter = Path(sys.executable).with_name("lint-imports")
    finished = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    """What works only where it was written does not work."""
    found = [
        f"{name_of(path)}: {match[0].decode()}"
        for path in written_files()
        if (match := MACHINE_PATH.search(path.read_bytes()))
    ]
    assert not found


def test_the_readme_begins_with_two_commands_of_one_line() -> None:
    """The first runs the demo, the second the tests; a newcomer needs no more."""
    first, second = blocks("sh")[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert first.startswith("python3 -m venv .venv && ")
    assert first.endswith("backup-ledger demo\n")
    assert second.endswith("-m pytest -n auto\n")


@needs_posix
def test_the_checks_run_the_readmes_test_command() -> None:
    """What a newcomer types and what guards a change are the same."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert blocks("sh")[1].strip() in script.read_text("utf-8")


def test_the_readmes_help_text_is_what_help_says() -> None:
    """The menu in the README is the command's own."""
    program = Path(sys.executable).with_name("backup-ledger")
    finished = subprocess.run(
        [program, "--help"],
        env=os.environ | {"COLUMNS": "80", "TERMINAL_WIDTH": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    shown = [block for block in blocks("text") if block.startswith("Usage: backup-ledger")]
    assert shown == [finished.stdout.strip() + "\n"]


def test_every_decision_note_is_linked_from_the_architecture() -> None:
    """A decision that nobody finds is made again."""
    architecture = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    notes = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert notes
    assert [each.name for each in notes if f"decisions/{each.name}" not in architecture] == []


def test_databases_are_told_apart_where_an_engine_is_opened() -> None:
    """Everything else asks the object of its database: a third kind would be one more object."""
    asks = re.compile(r"dialect\.name|get_backend_name|drivername ==")
    found = {
        name_of(path)
        for room in ("ledger", "projections", "commands")
        for path in sorted((ROOT / room).rglob("*.py"))
        if asks.search(path.read_text("utf-8"))
    }
    assert found == {
        "ledger/append/database.py",
        "ledger/append/databases/postgresql.py",
    }


def test_tables_are_looked_for_in_one_schema() -> None:
    """SQLAlchemy's inspector would look along a server's search path, which names none of ours."""
    found = [
        name_of(path)
        for room in ("ledger", "projections", "commands")
        for path in sorted((ROOT / room).rglob("*.py"))
        if re.search(r"from sqlalchemy import [^\n]*\binspect\b", path.read_text("utf-8"))
    ]
    assert found == ["ledger/append/backend.py"]


def test_words_that_are_gone_stay_gone() -> None:
    """One name for one thing; a sentence is read once. What decided it, and when, may be quoted."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").iterdir()]
    rooms = [ROOT / room for room in ("ledger", "projections", "commands")]
    sources = [path for room in rooms for path in room.rglob("*") if path.suffix in SOURCES]
    found = {
        name_of(path): sorted({match[0] for match in GONE.finditer(text)})
        for path in (*sources, *pages)
        if path.name != "CHANGELOG.md" and name_of(path) not in KEPT_WORDS
        if (text := " ".join(path.read_text("utf-8").split())) and GONE.search(text)
    }
    assert len(sources) > 400
    assert found == {}, "docs/GLOSSARY.md has the words that are used instead"
