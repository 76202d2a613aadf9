"""How cost grows, as small pictures side by side: docs/growth.svg.

python -m tests.benchmarks.growth_picture GROWTH.json
"""

from __future__ import annotations

import json
import sys
from math import ceil, floor, log10
from pathlib import Path

from tests.benchmarks.growth import CURVES, Curve, Points

CHART = Path(__file__).parent.parent.parent / "docs" / "growth.svg"
COLUMNS, WIDTH, HEIGHT = 3, 240, 180
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 34, 26


def main(results: Path) -> None:
    """Write it from what `python -m tests.benchmarks.growth --save` kept."""
    CHART.write_text(picture(json.loads(results.read_text("utf-8"))), "utf-8")


def picture(points: Points) -> str:
    """One for each thing that was measured; dashed is what grows as the work does."""
    drawn = [name for name in CURVES if name in points]
    height = ceil(len(drawn) / COLUMNS) * HEIGHT
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLUMNS * WIDTH} {height}" '
            'role="img" font-family="system-ui, sans-serif" font-size="11">'
        ),
        "<title>Processor time of each thing at growing sizes, on logarithmic scales</title>",
        (
            "<style>text{fill:#57606a}.name{font-weight:600}path{fill:none;stroke-width:2}"
            ".ours{stroke:#2f7d5b}.work{stroke:#8c959f;stroke-width:1;stroke-dasharray:4 3}"
            "circle{fill:#2f7d5b}line{stroke:#8c959f;stroke-width:.5}"
            "@media(prefers-color-scheme:dark){text{fill:#b1bac4}}</style>"
        ),
    ]
    for number, name in enumerate(drawn):
        row, column = divmod(number, COLUMNS)
        parts.append(f'<g transform="translate({column * WIDTH} {row * HEIGHT})">')
        parts += small_picture(CURVES[name], points[name])
        parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def small_picture(curve: Curve, points: dict[str, float]) -> list[str]:
    """Each axis goes from one power of ten to another; values in milliseconds."""
    places = sorted((log10(int(size)), log10(cost * 1_000)) for size, cost in points.items())
    first, last = floor(places[0][0]), max(ceil(places[-1][0]), floor(places[0][0]) + 1)
    work = [(size, places[0][1] + curve.work * (size - places[0][0])) for size, _cost in places]
    costs = [cost for _size, cost in places + work]
    lowest = floor(min(costs))
    highest = max(ceil(max(costs)), lowest + 2)

    def x(size: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (size - first) / (last - first)

    def y(cost: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (cost - lowest) / (highest - lowest)

    parts = [f'<text class="name" x="{LEFT}" y="20">{curve.label}</text>']
    for power in range(lowest, highest + 1):
        level = y(power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" y2="{level:.1f}"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{level + 4:.1f}" text-anchor="end">{_time_of(power)}</text>'
        )
    parts += [
        f'<text x="{x(power):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{10**power:,}</text>'
        for power in range(first, last + 1)
    ]
    for kind, line in (("work", work), ("ours", places)):
        joined = " L".join(f"{x(size):.1f} {y(cost):.1f}" for size, cost in line)
        parts.append(f'<path class="{kind}" d="M{joined}"/>')
    parts += [f'<circle cx="{x(size):.1f}" cy="{y(cost):.1f}" r="3"/>' for size, cost in places]
    return parts


def _time_of(power: int) -> str:
    """Ten to a power, of milliseconds."""
    return f"{10**power:g} ms" if power < 3 else f"{10 ** (power - 3):,} s"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
