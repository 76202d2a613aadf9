"""axe-core on each page: on a desk in light, and on a phone in dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.browser.conftest import Office

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

PHONE: ViewportSize = {"width": 375, "height": 740}
DESK: ViewportSize = {"width": 1440, "height": 900}
BACKUP = "/backups/before-the-move.db"
OPERATORS = (
    *("", "/trouble", "/schedules", "/schedules/3", "/backups", BACKUP, f"{BACKUP}/restore"),
    *(f"{BACKUP}/tables", "/compare", "/restore-points?day=2025-03-10", "/offsite", "/audit"),
    *("/audit/events/3", "/audit/story/schedule/1", "/time-machine", "/projections"),
    *("/notifications", "/tokens", "/runs", "/runs?page=x", "/nowhere"),
)
AUDITORS = (BACKUP, "/audit?type=none", "/tokens")
BY_SCREEN = ["color-contrast", "target-size", "scrollable-region-focusable"]
"""The other rules find the same on both screens."""
TRIM = """for (const list of document.querySelectorAll("tbody, datalist, svg")) {
  [...list.children].slice(5).forEach((item) => item.remove());
}"""
"""The items of a long list are alike, and axe takes its time for each."""
RUN = """async (rules) => {
  const only = rules.length ? { runOnly: { type: "rule", values: rules } } : {};
  const found = await axe.run(document, { ...only, resultTypes: ["violations"], preload: false });
  return found.violations.flatMap((rule) => rule.nodes.map(
    (node) => `${rule.id} (${rule.impact}): ${node.target.join(" ")}: ${node.html.slice(0, 200)}`));
}"""


def findings(page: Page) -> list[str]:
    """What axe finds, with the page's address."""
    page.evaluate(AXE_SCRIPT)
    page.evaluate(TRIM)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size(DESK)
    found = page.evaluate(RUN, [])
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.set_viewport_size(PHONE)
    found += page.evaluate(RUN, BY_SCREEN)
    return [f"{page.url}: {finding}" for finding in found]


def test_axe_finds_nothing(office: Office) -> None:
    """Neither with a wrong filter, nor on a page that does not exist, nor on a job's."""
    found: list[str] = []
    with office.visit("operator") as page:
        for path in OPERATORS:
            page.goto(f"{office.address}/console{path}")
            found += findings(page)
        page.goto(f"{office.address}/console{BACKUP}")
        page.get_by_role("button", name="Verify").click()
        expect(page.locator("#job").get_by_text("The backup is good.")).to_be_visible()
        found += findings(page)
    assert found == []


def test_axe_finds_nothing_that_only_an_auditor_or_a_stranger_sees(office: Office) -> None:
    found: list[str] = []
    with office.visit("auditor") as page:
        for path in AUDITORS:
            page.goto(f"{office.address}/console{path}")
            found += findings(page)
        page.context.clear_cookies()
        page.goto(f"{office.address}/console/login")
        found += findings(page)
    assert found == []
