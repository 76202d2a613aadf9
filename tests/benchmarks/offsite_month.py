"""A picture of 30 days off-site, of the row `offsite_month_1` that was kept.

One percent of the rows changes each day, and every day's backup is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

MEGABYTE = 1024 * 1024
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 300, 70, 150, 30, 30
SIDES = (("Backup Ledger", "ours"), ("restic", "theirs"), ("whole files, zstd", "whole"))


def picture(days: Sequence[Sequence[int]]) -> str:
    """A line for each side, megabytes over days; the last value beside it."""
    highest = max(max(day) for day in days)

    def x(day: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * day / max(1, len(days) - 1)

    def y(size: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * size / highest

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            'font-family="system-ui, sans-serif" font-size="12">'
        ),
        f"<title>{len(days)} daily backups off-site, all kept</title>",
        (
            "<style>text{fill:#57606a}path{fill:none;stroke-width:2}.ours{stroke:#2f7d5b}"
            ".theirs{stroke:#b3541e}.whole{stroke:#8c959f}line{stroke:#8c959f;stroke-width:.5}"
            "@media(prefers-color-scheme:dark){text{fill:#b1bac4}}</style>"
        ),
        (
            f'<text x="{LEFT}" y="16">what is stored after each day, 1 % of the rows changed a '
            "day</text>"
        ),
    ]
    for share in (0, 0.5, 1):
        level = y(highest * share)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" y2="{level:.1f}"/>')
        label = f"{highest * share / MEGABYTE:,.0f} MB"
        parts.append(f'<text x="{LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{label}</text>')
    ends = sorted((y(days[-1][side]), side) for side in range(len(SIDES)))
    label_at: dict[int, float] = {}
    for place, side in ends:  # labels that would lie on each other make room
        label_at[side] = max([place, *(each + 15 for each in label_at.values())])
    for side, (name, kind) in enumerate(SIDES):
        points = " L".join(f"{x(day):.1f} {y(sizes[side]):.1f}" for day, sizes in enumerate(days))
        parts.append(f'<path class="{kind}" d="M{points}"/>')
        end = days[-1][side]
        parts.append(
            f'<text x="{WIDTH - RIGHT + 8}" y="{label_at[side] + 4:.1f}">{name}, '
            f"{end / MEGABYTE:,.0f} MB</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
