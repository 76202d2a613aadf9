"""What a command says: tables and lines for people, one JSON document for programs.

Text that comes from data is never markup and never reaches the terminal as a control
character: it goes through `plain`. JSON is ASCII, so that it is right on any terminal.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console
    from rich.padding import Padding
    from rich.progress import ProgressColumn, Task
    from rich.table import Table

WIDE_COLUMNS = 110
"""From this width on tables put everything on one line."""


def plain(text: object) -> str:
    """Data as printable text: control characters are shown, as \\x1b; passwords are masked."""
    from commands.sqlite.errors import shown
    from ledger.masking import masked

    return masked(shown(text))


def console(*, stderr: bool = False) -> Console:
    """The terminal, without any guessing about what text might mean."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)


def say(text: str = "", style: str | None = None) -> None:
    """A line on stdout; wrapped by the terminal, so that it can be copied."""
    console().print(plain(text), style=style, soft_wrap=True)


def tell(text: str, style: str | None = None) -> None:
    """An indented paragraph on stdout, wrapped at words."""
    from rich.padding import Padding
    from rich.text import Text

    paragraph = Text(plain(text), style=style or "", overflow="fold")
    _print_trimmed(Padding(paragraph, (0, 0, 0, 2), expand=False))


def note(text: str, style: str | None = "yellow") -> None:
    """A remark beside the answer, on stderr."""
    console(stderr=True).print(plain(text), style=style, soft_wrap=True)


def new_table(*columns: str, right: Sequence[str] = (), title: str | None = None) -> Table:
    """A table without frames; long words are folded, never cut."""
    from rich.table import Table

    table = Table(title=title, box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            header_style="bold",
            no_wrap=column in right,
        )
    return table


def add_row(table: Table, *cells: object, style: str | None = None) -> None:
    """Add cells as data; lines within a cell are the caller's, in a tuple."""
    from rich.text import Text

    table.add_row(
        *(
            Text("\n".join(plain(line) for line in cell))
            if isinstance(cell, tuple)
            else Text(plain(cell))
            for cell in cells
        ),
        style=style,
    )


def show_table(table: Table) -> None:
    _print_trimmed(table)


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Names and values below each other."""
    table = new_table("", "")
    table.show_header = False
    for name, value in facts:
        add_row(table, name, value)
    show_table(table)


def terminal_width() -> int:
    """In columns."""
    return console().width


def is_wide() -> bool:
    return terminal_width() >= WIDE_COLUMNS


def write_json(value: Any) -> None:
    """The one JSON document of a command."""
    from commands.reporting.json_values import as_json

    sys.stdout.write(json.dumps(as_json(value), indent=2) + "\n")


def write_record(position: int, record: bytes, *, is_erased: bool = False) -> None:
    """One line of `--json`: the stored bytes, spliced in as they are.

    Of an erased record the one that stands in for it, and the line says so.

    On a terminal what is not printable (C1, DEL, marks of direction) is escaped, as JSON may.
    """
    erased = b',"erased":true' if is_erased else b""
    line = b'{"position":%d,"record":%b%b}\n' % (position, record, erased)
    sys.stdout.flush()
    if sys.stdout.isatty():  # the same JSON, without what a terminal would obey
        sys.stdout.write(_unobeyed(line.decode()))
    else:
        sys.stdout.buffer.write(line)


def _unobeyed(line: str) -> str:
    return "".join(
        each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in line
    ).replace("\x7f", "\\u007f")


@contextmanager
def progress_bar(
    description: str, *, in_bytes: bool = False
) -> Iterator[Callable[[str, int, int], None] | None]:
    """Tells progress as (step, done, in all); None where nobody watches.

    With what is done the rate and the time left are shown. `in_bytes`: what is counted are bytes.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress as bars

    columns = list(bars.Progress.get_default_columns())
    if in_bytes:
        columns[-1:-1] = [bars.DownloadColumn(), bars.TransferSpeedColumn()]
    else:
        columns[-1:-1] = [bars.MofNCompleteColumn(), _rate_column()]
    with bars.Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(plain(description), total=None)

        def update(step: str, done: int, total: int) -> None:
            progress.update(task, description=f"{plain(description)}: {step}", completed=done)
            progress.update(task, total=max(total, 1))

        yield update


def _rate_column() -> ProgressColumn:
    """Things a second."""
    from rich.progress import ProgressColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")

    return Rate()


def _print_trimmed(content: Table | Padding) -> None:
    """Print without the blanks that would fill each line."""
    from rich.segment import Segment, Segments

    terminal = console()
    shown: list[Segment] = []
    for line in terminal.render_lines(content, pad=False):
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            last = line.pop()
            line.append(Segment(last.text.rstrip(), last.style))
        shown += [*line, Segment.line()]
    terminal.print(Segments(shown), end="", soft_wrap=True)
