"""Results kept in files, one for each run, as a table and as pictures.

docs/BENCHMARKS.md, docs/benchmarks.svg, and docs/offsite-month.svg where a month was measured:

python -m tests.benchmarks.report RESULTS.json...
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.offsite_month import picture

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "BENCHMARKS.md"
CHART = ROOT / "docs" / "benchmarks.svg"
MONTH, MONTH_ROW = ROOT / "docs" / "offsite-month.svg", "offsite_month_1"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"

ROW_HEIGHT, LEFT, WIDTH, TOP = 24, 190, 720, 44
DECADES = 3
"""The chart goes from a tenth of a target to a hundred times it."""

Result = dict[str, Any]


def main(results: list[Path]) -> None:
    """Write them from what `python -m tests.benchmarks --save` kept."""
    runs = [json.loads(path.read_text("utf-8")) for path in results]
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + table(runs) + END + after, "utf-8")
    CHART.write_text(chart(_by_name(runs)), "utf-8")
    for row in (row for run in runs for row in run["rows"]):
        if row["name"] == MONTH_ROW and row.get("days"):
            MONTH.write_text(picture(row["days"]), "utf-8")


def table(runs: list[Result]) -> str:
    """Markdown; the machine and the day first. The ratio and the spread of each run, in order."""
    last = runs[-1]
    lines = [
        f"Measured on {last['date']}, {last['machine']}; {last['sizes']} sizes.",
        "",
        "| name | value | beside | ratio | spread | target | |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in _by_name(runs).items():
        newest = rows[-1]
        lines.append(
            f"| `{name}` | {newest['value']:,.4g} {newest['unit']} | {newest['against']} "
            f"| {', '.join(format(row['ratio'], '.3g') for row in rows)} "
            f"| {', '.join(_spread(row) for row in rows)} | {newest['target']:g} "
            f"| {_verdict(rows)} |"
        )
    return "\n".join(lines) + "\n"


def _by_name(runs: list[Result]) -> dict[str, list[Result]]:
    """Each name's row of each run that has one, in the order in which they are measured."""
    found: dict[str, list[Result]] = {name: [] for name in BENCHMARKS}
    for row in (row for run in runs for row in run["rows"]):
        found[row["name"]].append(row)
    return {name: rows for name, rows in found.items() if rows}


def _verdict(rows: list[Result]) -> str:
    met = sum(row["met"] for row in rows)
    if met == len(rows):
        return "met"
    return f"**met in {met} of {len(rows)}**" if met else "**not met**"


def _spread(row: Result) -> str:
    """Of the ratio, over the rounds; rows of earlier versions have none."""
    if "spread" not in row:
        return "not kept"
    text = f"{row['spread']:.0%} in {row['rounds']}"
    return text if row["steady"] else f"**{text}**"


def chart(rows: dict[str, list[Result]]) -> str:
    """Each row's ratio in targets, on a logarithmic scale, as SVG; the median of its runs."""
    height = TOP + ROW_HEIGHT * len(rows) + 12
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            'font-family="system-ui, sans-serif" font-size="12">'
        ),
        "<title>How far each figure is beyond its target</title>",
        (
            "<style>text{fill:#57606a}.met{fill:#2f7d5b}.unmet{fill:#b3541e}"
            "line{stroke:#8c959f}@media(prefers-color-scheme:dark){text{fill:#b1bac4}}</style>"
        ),
        (
            f'<text x="{LEFT}" y="16">ratio in targets; the line is the target, right of it is '
            "better</text>"
        ),
    ]
    for power in range(-1, DECADES):
        x = _place(10**power)
        weight = 2 if power == 0 else 0.5
        parts.append(f'<text x="{x:.0f}" y="34" text-anchor="middle">{10**power:g}</text>')
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="38" y2="{height - 8}" stroke-width="{weight}"/>'
        )
    for number, (name, runs) in enumerate(rows.items()):
        y = TOP + ROW_HEIGHT * number
        ratio = median(run["ratio"] for run in runs) / runs[-1]["target"]
        start, end = sorted((_place(1), _place(ratio)))
        kind = "met" if all(run["met"] for run in runs) else "unmet"
        parts.append(
            f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{kind}" x="{start:.1f}" y="{y + 4}" width="{max(end - start, 2):.1f}" '
            f'height="{ROW_HEIGHT - 8}" rx="2"/>'
            f'<text x="{end + 6:.1f}" y="{y + 15}">{ratio:.3g}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def _place(ratio: float) -> float:
    power = min(max(math.log10(ratio), -1), DECADES - 1)
    return LEFT + (power + 1) / DECADES * (WIDTH - LEFT - 60)


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
