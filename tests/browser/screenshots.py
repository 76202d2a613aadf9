"""Take the pictures of the console that the documentation shows.

    python -m tests.browser.screenshots docs/screenshots

The office has lived for most of a year before; its clock is its own.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS, PHONE, Office, find_chromium, make_office, serving
from tests.commands.world import World

NIGHTS = 320
BAD_NIGHTS = 9
TALL = 1470


def take_all(office: Office, folder: Path) -> None:
    held = _held(office.world)
    event = office.world.site.ledger.log_recorder.head().size - 20
    for name, path, phone, dark in (
        ("overview", "/console", False, False),
        ("overview-phone", "/console", True, True),
        ("schedule", "/console/schedules/3", False, True),
        ("backup", f"/console/backups/{held}", False, False),
        ("time-machine", f"/console/time-machine?position={event}", False, False),
    ):
        with office.visit(path=path, phone=phone, dark=dark) as page:
            _shoot(page, folder / f"{name}.png", PHONE["height"] if phone else TALL)
    with office.visit("auditor", path=f"/console/audit/events/{event}") as page:
        _prove(office, page)
        _shoot(page, folder / "proof.png", TALL)


def _shoot(page: Page, path: Path, tallest: int) -> None:
    """The page from its top, no taller than this."""
    width, height = page.viewport_size["width"], page.evaluate("document.body.scrollHeight")  # type: ignore[index]
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, tallest)}
    page.screenshot(path=path, full_page=True, clip=clip)  # type: ignore[arg-type]


def _prove(office: Office, page: Page) -> None:
    answer = page.request.get(f"{office.address}/console/api/audit/public-key")
    page.get_by_label("Public key", exact=True).fill(answer.text().strip())
    page.get_by_role("button", name="Prove it").click()
    page.get_by_text("Proved: this very record").wait_for()


def _held(world: World) -> str:
    now = world.clock.now()
    return next(each.filename for each in world.present(1) if each.is_held(now))


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        bad = Random(7).sample(range(NIGHTS - 3), BAD_NIGHTS)
        world = make_office(Path(temporary), NIGHTS, bad)
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        with serving(world) as address:
            take_all(Office(world, address, browser), folder)
        browser.close()
        world.close()


if __name__ == "__main__":
    main()
