"""What an auditor does in the browser: look, prove, travel in time, compare, export."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha256

import pytest
from playwright.sync_api import Page, Route, expect

from commands.http.console.time_machine import STEP
from ledger.events.catalog import BackupCreated
from ledger.events.housekeeping import EvidenceExported, ProjectionRebuilt
from tests.browser.conftest import Office, sign
from tests.ledger.test_verifier_vectors import DRIVER, for_the_browser, require_as_listed


def test_an_event_is_proved_in_the_browser(office: Office) -> None:
    """Record, way up, root, signature: each step is shown with its hashes."""
    with event_of(office) as page:
        page.get_by_label("Public key", exact=True).fill(public_key(office, page))
        page.get_by_role("button", name="Prove it").click()
        expect(page.get_by_role("status")).to_contain_text("Proved: this very record")
        steps = page.locator(".step")
        expect(steps).to_have_count(4)
        for number, title in enumerate(("record", "way up", "root", "signature")):
            expect(steps.nth(number)).to_contain_text(title)
            expect(steps.nth(number)).to_have_class("step ok")
        (record,) = office.world.site.ledger.records(after=2, up_to=3)
        expect(steps.first).to_contain_text(sha256(b"\0" + record.record).hexdigest())


def test_every_position_is_proved(office: Office) -> None:
    """The way up is walked rightly from the left edge, the right edge, and between."""
    size = office.world.site.ledger.log_recorder.head().size
    with event_of(office) as page:
        key = public_key(office, page)
        for position in (1, 2, size // 2, size - 1, size):
            page.goto(f"{office.address}/console/audit/events/{position}")
            page.get_by_label("Public key", exact=True).fill(key)
            page.get_by_role("button", name="Prove it").click()
            expect(page.get_by_role("status")).to_contain_text("Proved: this very record")


def test_a_tampered_record_is_not_proved(office: Office) -> None:
    """One character is enough; the step that fails is named."""
    with event_of(office) as page:
        record = page.locator("pre").inner_text()
        page.get_by_text("Check a record that I have").click()
        page.get_by_label("The record, one line of JSON").fill(record)
        page.get_by_role("button", name="Prove it").click()
        expect(page.get_by_role("status")).to_contain_text("Who signed the checkpoint was not")
        page.get_by_label("The record, one line of JSON").fill(record.replace("true", "True", 1))
        page.get_by_role("button", name="Prove it").click()
        expect(page.get_by_role("status")).to_contain_text("NOT proved")
        expect(page.locator(".step.bad").first).to_contain_text("The record")
        expect(page.locator(".step.bad").last).to_contain_text("does not lead to the checkpoint")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("example.com/other+aaaaaaaa+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "wrongly"),
        ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "the key of"),
        ("nonsense", "not a public key"),
    ],
)
def test_another_key_proves_nothing(office: Office, key: str, told: str) -> None:
    """A wrong key is not a proof, however right the way up is."""
    with event_of(office) as page:
        page.get_by_label("Public key", exact=True).fill(key)
        page.get_by_role("button", name="Prove it").click()
        expect(page.get_by_role("status")).to_contain_text("NOT proved")
        expect(page.locator(".step.bad")).to_contain_text(told)


def test_a_service_that_lies_is_found_out(office: Office) -> None:
    """Another record's proof, another checkpoint's root, a signature of something else."""
    with event_of(office) as page:
        good = page.request.get(f"{office.address}/console/api/audit/events/3/proof").text()
        head, _, note = good.partition("\n\n")
        other = page.request.get(f"{office.address}/console/api/audit/events/4/proof").text()
        swapped = note.split("\n")
        swapped[1] = str(int(swapped[1]) - 1)
        lies = {
            other: "another record",
            good.replace("index 2", "index 2\nAAAA"): "a hash of the proof has another length",
            f"{head}\n\n{chr(10).join(swapped)}": "",
            head.rpartition("\n")[0] + f"\n\n{note}": "too short",
        }
        key = public_key(office, page)
        for lie, told in lies.items():
            page.route("**/events/3/proof", answering(lie))
            page.get_by_label("Public key", exact=True).fill(key)
            page.get_by_role("button", name="Prove it").click()
            expect(page.get_by_role("status")).to_contain_text("NOT proved")
            expect(page.locator(".step.bad")).to_contain_text(told)
            page.unroute("**/events/3/proof")


def test_the_log_is_filtered_and_a_story_is_told(office: Office) -> None:
    """By type and user; from a line to its thing's story, and on to the event."""
    with office.visit("auditor", path="/console/audit") as page:
        expect(page.locator("tbody tr")).to_have_count(100)
        page.get_by_role("link", name="Next page").click()
        expect(page.get_by_role("link", name="First page")).to_be_visible()
        page.goto(f"{office.address}/console/audit")
        page.get_by_label("Only what failed").check()
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.locator("tbody tr")).to_contain_text("there is no database at")
        page.get_by_role("link", name="story of schedule/1").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("schedule/1")
        page.get_by_role("link", name=re.compile("^position ")).first.click()
        expect(page.get_by_text("Settings created")).to_be_visible()
        page.goto(f"{office.address}/console/audit?since=yesterday")
        expect(page.get_by_role("alert")).to_contain_text("not a date or time")


def test_the_slider_travels(office: Office) -> None:
    """By keyboard: settings and catalog follow, and what changed since is told."""
    made = next(
        each.position
        for each in office.world.all_events()
        if isinstance(each.event.details, BackupCreated)
    )
    with office.visit("auditor", path=f"/console/time-machine?position={made - 1}") as page:
        content = page.locator("#content")
        expect(content).to_contain_text("There was no backup.")
        page.get_by_role("slider").focus()
        page.keyboard.press("ArrowRight")
        expect(content).not_to_contain_text("There was no backup.")
        expect(content.locator(".changes")).to_contain_text("new")
        expect(page).to_have_url(re.compile(f"position={made}"))
        page.get_by_role("slider").fill(str(made + STEP))
        expect(content.locator(".changes")).to_contain_text(f"from {made} to {made + STEP}")
        page.get_by_label("Or a time (UTC)").fill("2025-03-04 00:00")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#content")).to_contain_text("2025-03-03")


def test_a_projection_is_compared_and_rebuilt(office: Office) -> None:
    """An auditor compares; only an operator has the button to rebuild, and the right."""
    with office.visit("auditor", path="/console/projections") as page:
        assert page.get_by_role("button", name="Rebuild").count() == 0
        page.get_by_role("button", name="Compare with the ledger").first.click()
        expect(
            page.locator("#job").get_by_text("is what the ledger says, row for row")
        ).to_be_visible()
        page.goto(f"{office.address}/console/projections")
        csrf = page.locator("input[name=csrf]").first.get_attribute("value") or ""
        address = f"{office.address}/console/projections/backup_runs/rebuild"
        assert page.request.post(address, form={"csrf": csrf}).status == 403
    with office.visit("operator", path="/console/projections") as page:
        page.get_by_role("button", name="Rebuild").first.click()
        expect(page.locator("#job")).to_contain_text("folded anew")
    assert office.world.recorded(ProjectionRebuilt)[-1].name == "backup_settings"


def test_the_ledger_is_verified_and_evidence_exported(office: Office) -> None:
    """Both are jobs of the auditor; the bundle can be fetched, and the export is recorded."""
    with office.visit("auditor", path="/console/audit") as page:
        page.get_by_role("button", name="Verify the whole ledger").click()
        expect(page.locator("#job").get_by_text("The history is whole")).to_be_visible()
        page.goto(f"{office.address}/console/audit")
        page.get_by_text("Export evidence").click()
        page.get_by_label("Of user").fill("1")
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "evidence.zip"
    assert len(office.world.recorded(EvidenceExported)) == 1


def answering(body: str) -> Callable[[Route], None]:
    """A service that answers this, whatever is asked."""

    def answer(route: Route) -> None:
        route.fulfill(body=body)

    return answer


def event_of(office: Office) -> AbstractContextManager[Page]:
    """The page of one event, as an auditor sees it, once all there is was signed."""
    sign(office.world)
    return office.visit("auditor", path="/console/audit/events/3")


def public_key(office: Office, page: Page) -> str:
    """In a test the key may come from the service."""
    return page.request.get(f"{office.address}/console/api/audit/public-key").text().strip()


def test_the_browsers_verifier_answers_the_list_of_vectors_as_all_others(office: Office) -> None:
    """`prove.js` as it is served, in a real browser: nothing passes that `ledger` refuses."""
    with office.visit("auditor", path="/console/audit/events/3") as page:
        address = page.locator("script[src*='prove.js']").get_attribute("src")
        verdicts = page.evaluate(
            f"([at, all]) => ({DRIVER})(at, all)", [address, for_the_browser()]
        )
    require_as_listed(verdicts)
