"""Results kept in a file, as a table and as pictures.

docs/BENCHMARKS.md, docs/benchmarks.svg, and docs/offsite-month.svg where a month was measured:

python -m tests.benchmarks.report RESULTS.json
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

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


def main(results: Path) -> None:
    """Write them from what `python -m tests.benchmarks --save` kept."""
    found = json.loads(results.read_text("utf-8"))
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + table(found) + END + after, "utf-8")
    CHART.write_text(chart(found["rows"]), "utf-8")
    for each in found["rows"]:
        if each["name"] == MONTH_ROW and each.get("days"):
            MONTH.write_text(picture(each["days"]), "utf-8")


def table(found: Result) -> str:
    """Markdown; the machine and the day first."""
    lines = [
        f"Measured on {found['date']}, {found['machine']}; {found['sizes']} sizes.",
        "",
        "| name | value | beside | ratio | spread | target | |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in found["rows"]:
        verdict = "met" if each["met"] else "**not met**"
        lines.append(
            f"| `{each['name']}` | {each['value']:,.4g} {each['unit']} | {each['against']} "
            f"| {each['ratio']:.3g} | {_spread(each)} | {each['target']:g} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def _spread(row: Result) -> str:
    """Of the ratio, over the rounds; rows of earlier versions have none."""
    if "spread" not in row:
        return "not kept"
    text = f"{row['spread']:.0%} in {row['rounds']}"
    return text if row["steady"] else f"**{text}**"


def chart(rows: list[Result]) -> str:
    """Each row's ratio in targets, on a logarithmic scale, as SVG."""
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
    for number, each in enumerate(rows):
        y = TOP + ROW_HEIGHT * number
        ratio = each["ratio"] / each["target"]
        start, end = sorted((_place(1), _place(ratio)))
        kind = "met" if each["met"] else "unmet"
        parts.append(
            f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(each["name"])}</text>'
            f'<rect class="{kind}" x="{start:.1f}" y="{y + 4}" width="{max(end - start, 2):.1f}" '
            f'height="{ROW_HEIGHT - 8}" rx="2"/>'
            f'<text x="{end + 6:.1f}" y="{y + 15}">{ratio:.3g}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def _place(ratio: float) -> float:
    power = min(max(math.log10(ratio), -1), DECADES - 1)
    return LEFT + (power + 1) / DECADES * (WIDTH - LEFT - 60)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
