"""The README's code blocks, for the tests that hold it to its word."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """The blocks of a language, in order, each with its last line break."""
    found = _BLOCK.finditer(README.read_text("utf-8"))
    return [each["text"] for each in found if each["language"] == language]
