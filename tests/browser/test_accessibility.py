"""Each page on a phone in dark and on a desk in light: it fits, and axe-core finds nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.browser.conftest import Office

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1440, "height": 900}
BACKUP = "/backups/before-the-move.db"
OPERATORS = (
    *("", "/trouble", "/schedules", "/schedules/77", "/backups", BACKUP, f"{BACKUP}/restore"),
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
SIDEWAYS = """() => {
  const root = document.documentElement;
  const beyond = root.scrollWidth - root.clientWidth;
  return beyond ? [`${beyond} px beyond ${root.clientWidth}`] : [];
}"""
RUN = """async (rules) => {
  const which = rules.length ? { runOnly: { type: "rule", values: rules } } : {};
  const more = { rules: { "target-size": { enabled: true } } };
  const options = { ...which, ...more, resultTypes: ["violations"], preload: false };
  const found = await axe.run(document, options);
  return found.violations.flatMap((rule) => rule.nodes.map(
    (node) => `${rule.id} (${rule.impact}): ${node.target.join(" ")}: ${node.html.slice(0, 200)}`));
}"""


def findings(page: Page) -> list[str]:
    """What is wrong with a page, with its address."""
    page.set_viewport_size(PHONE)
    found = page.evaluate(SIDEWAYS)
    page.evaluate(AXE_SCRIPT)
    page.evaluate(TRIM)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    found += page.evaluate(RUN, BY_SCREEN)
    page.set_viewport_size(DESK)
    found += page.evaluate(SIDEWAYS)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    found += page.evaluate(RUN, [])
    return [f"{page.url}: {finding}" for finding in found]


def test_nothing_is_wrong_with_a_page(office: Office) -> None:
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


def test_nothing_is_wrong_that_only_an_auditor_or_a_stranger_sees(office: Office) -> None:
    found: list[str] = []
    with office.visit("auditor") as page:
        for path in AUDITORS:
            page.goto(f"{office.address}/console{path}")
            found += findings(page)
        page.context.clear_cookies()
        page.goto(f"{office.address}/console/login")
        found += findings(page)
    assert found == []
