"""How the demo talks: headings, short paragraphs, tables; plain where there is no terminal."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from commands.sqlite.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

MAX_COLUMNS = 80
"""Prose is hard to read in longer lines."""


@dataclass
class Narrator:
    """Tells the story on a console."""

    console: Console
    chapters: int = 0

    @property
    def width(self) -> int:
        return min(self.console.width, MAX_COLUMNS)

    def chapter(self, title: str) -> None:
        """A numbered heading."""
        self.chapters += 1
        heading = f"{self.chapters}. {title} "
        line = "-" if self.console.encoding.lower() not in ("utf-8", "utf8") else "─"
        self.console.print()
        self.console.print(Text(heading.ljust(self.width, line), style="bold cyan"))

    def say(self, text: str, style: str = "") -> None:
        """A paragraph."""
        self.console.print(Text(shown(text), style=style), width=self.width)

    def good(self, text: str) -> None:
        """Something that was checked, and holds."""
        self._marked("ok", text, "green")

    def bad(self, text: str) -> None:
        """Something that went wrong, as it was meant to."""
        self._marked("!!", text, "yellow")

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()
    ) -> None:
        """Rows of data under headings."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in columns:
            is_number = column in right
            table.add_column(
                column, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold"
            )
        for row in rows:
            table.add_row(*(Text(shown(cell)) for cell in row))
        self.console.print(Padding(table, (0, 0, 0, 2)), width=self.width)

    def commands(self, lines: Sequence[tuple[str, str]]) -> None:
        """Commands to try, each with what it shows; never wrapped, so that they can be copied."""
        for command, what in lines:
            self.console.print(Text(f"  # {what}", style="dim"), soft_wrap=True)
            self.console.print(Text(f"  {command}", style="bold"), soft_wrap=True)

    def _marked(self, mark: str, text: str, style: str) -> None:
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_row(Text(mark), Text(shown(text)), style=style)
        self.console.print(Padding(line, (0, 0, 0, 2)), width=self.width)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A sign of life on a terminal while something takes a second or two."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(what):
            yield
