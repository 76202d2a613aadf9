"""python -m tests.simulation [--hold MS] [--run MS]: lateness at 03:00, as a table.

Costs are milliseconds, as measured by `tests.benchmarks` and `tests.simulation.measuring`.
"""

from __future__ import annotations

import argparse
import sys

from tests.simulation.model import Costs, Loss, Night, at_share

USERS = (10_000, 100_000, 1_000_000)
SCHEDULERS = (1, 4, 16, 100, 1_000)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--hold", type=float, default=1.0, help="of the head, for an append")
    parser.add_argument("--hold-event", type=float, default=0.28, help="and for one more event")
    parser.add_argument("--run", type=float, default=2.9, help="of one user")
    parser.add_argument("--snapshot", type=float, default=600.0, help="of a batch")
    parser.add_argument("--spread-seconds", type=int, default=0)
    parser.add_argument("--lost", type=float, default=0.0, help="which share, at 03:05")
    parser.add_argument("--users", type=int, nargs="+", default=USERS)
    parser.add_argument("--schedulers", type=int, nargs="+", default=SCHEDULERS)
    chosen = parser.parse_args()
    costs = Costs(
        chosen.hold / 1_000, chosen.hold_event / 1_000, chosen.run / 1_000, chosen.snapshot / 1_000
    )
    loss = Loss(chosen.lost, 300.0) if chosen.lost else None
    sys.stdout.write("| users | schedulers | p50 | p99 | last |\n|---|---|---|---|---|\n")
    for users in chosen.users:
        for schedulers in chosen.schedulers:
            late = Night(users, schedulers, costs, chosen.spread_seconds, loss).run()
            shown = (late[len(late) // 2], at_share(late, 0.99), late[-1])
            columns = (f"{users:,}", f"{schedulers:,}", *map(_text, shown))
            sys.stdout.write(f"| {' | '.join(columns)} |\n")
            sys.stdout.flush()


def _text(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes}:{left:02}"


if __name__ == "__main__":
    main()
