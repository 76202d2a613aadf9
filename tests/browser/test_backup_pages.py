"""What people do in the browser: look, take, hold, verify, restore, delete, change a schedule."""

from __future__ import annotations

import re
from datetime import timedelta

from playwright.sync_api import Page, expect

from ledger.events.catalog import BackupVerified, HoldPlaced, HoldReleased
from ledger.events.restoring import RestoreCompleted
from ledger.events.scheduling import SchedulePaused, SettingsUpdated
from tests.browser.conftest import Office
from tests.commands.world import World, add_case, titles_in


def test_the_overview_says_what_is_wrong(office: Office) -> None:
    """All is well; then a damaged backup is named, with a way to it."""
    with office.visit() as page:
        expect(page.get_by_role("heading", name="All is well")).to_be_visible()
        expect(page.get_by_role("img", name=re.compile("In the year up to"))).to_be_visible()
        path = office.world.site.store.path(_name(office, 3))
        kept = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(b"x" * len(kept))
        page.goto(f"{office.address}/console/backups/{path.name}")
        page.get_by_role("button", name="Verify").click()
        expect(page.locator("#job").get_by_text("The backup is not good")).to_be_visible()
        page.goto(f"{office.address}/console")
        page.get_by_role("link", name="1 backup is damaged").click()
        expect(page.get_by_role("link", name=path.name)).to_be_visible()
        path.write_bytes(kept)
        page.get_by_role("link", name=path.name).click()
        page.get_by_label("How thoroughly").select_option("digest")
        page.get_by_role("button", name="Verify").click()
        expect(page.locator("#job").get_by_text("The backup is good.")).to_be_visible()
    # Of a damaged one the digest alone is not enough: verify looks inside as well.
    assert office.world.recorded(BackupVerified)[-1].level == "integrity"


def test_a_whole_restore(office: Office) -> None:
    """Plan, typed confirmation, progress, outcome; the database has the old content again."""
    world = office.world
    before = titles_in(world.database)
    with office.visit(path="/console/backups") as page:
        page.get_by_text("Take a backup now").click()
        page.get_by_label("Name (or leave it empty)").fill("to-restore")
        page.get_by_role("button", name="Take and verify").click()
        expect(
            page.locator("#job").get_by_text("to-restore.db was made and checked.")
        ).to_be_visible()
        page.get_by_role("link", name="The backup").click()
        add_case(world.database, "a mistake")
        page.get_by_role("link", name="Plan a restore").click()
        expect(page.get_by_text("in one transaction")).to_be_visible()
        button = page.get_by_role("button", name="Restore")
        expect(button).to_be_disabled()
        page.get_by_label("Type the backup's name").fill("to-restore")
        expect(button).to_be_disabled()
        page.get_by_label("Type the backup's name").fill("to-restore.db")
        button.click()
        expect(
            page.locator("#job").get_by_text("The database was restored from to-restore.db")
        ).to_be_visible()
    assert titles_in(world.database) == before
    assert len(world.recorded(RestoreCompleted)) == 1
    assert world.events_of(RestoreCompleted)[0].actor.kind == "operator"


def test_a_backup_is_found_held_and_released_by_keyboard_alone(office: Office) -> None:
    """From the login on without a mouse; the actor is the user of the token."""
    name, press = _name(office, 1), "Enter"
    with office.stranger() as page:
        page.goto(f"{office.address}/console/backups")
        expect(page).to_have_url(re.compile("/console/login"))
        page.keyboard.type(office.token("user", 1))
        page.keyboard.press(press)
        expect(page.get_by_role("heading", name="Backups")).to_be_visible()
        _tab_to(page, "Called")
        page.keyboard.type(name)
        page.keyboard.press(press)
        expect(page.get_by_text("1 backup found")).to_be_visible()
        _tab_to(page, f"Choose {name}")
        page.keyboard.press("Space")
        _tab_to(page, "Continue")
        page.keyboard.press(press)
        expect(page.get_by_role("heading", name="Hold 1 backup")).to_be_visible()
        _tab_to(page, "Reason")
        page.keyboard.type("<script>alert(1)</script> & partners")
        page.keyboard.press(press)
        expect(page.get_by_text("1 backup held.").first).to_be_visible()
        _tab_to(page, name)
        page.keyboard.press(press)
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press(press)
        expect(page.get_by_text("<script>alert(1)</script> & partners")).to_be_visible()
        _tab_to(page, "Release")
        page.keyboard.press(press)
        expect(page.get_by_text("Released; retention applies again.")).to_be_visible()
        page.goto(f"{office.address}/console/restore-points")
        _tab_to(page, "good backup")
        focused = "document.activeElement.innerText.split(/\\s/)[0]"
        first = page.evaluate(focused)
        page.keyboard.press("ArrowRight")
        page.keyboard.press(press)
        expect(page.locator("[aria-current=date] b")).not_to_have_text(first)
    held, released = (
        office.world.events_of(HoldPlaced)[-1],
        office.world.events_of(HoldReleased)[-1],
    )
    assert (held.actor.kind, held.actor.id) == ("user", "1")
    assert released.details.hold_id == held.details.hold_id


def test_a_schedule_with_its_preview(office: Office) -> None:
    """The ten runs follow the form before anything is saved; what is wrong is said."""
    with office.visit("user", 2, path="/console/schedules") as page:
        runs = page.locator("#runs tbody tr")
        expect(runs).to_have_count(10)
        first = runs.first.inner_text()
        page.get_by_label("Frequency", exact=True).select_option("daily")
        page.get_by_label("Time of day").fill("06:15")
        expect(runs.first).to_contain_text("06:15")
        assert runs.first.inner_text() != first
        assert office.world.schedule(2).backup_time == "04:30"
        page.get_by_label("Time zone").fill("Mars/Olympus")
        expect(page.locator("#runs")).to_contain_text("Mars/Olympus")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("Mars/Olympus")
        page.get_by_label("Time zone").fill("America/Toronto")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status").first).to_contain_text("saved")
        page.get_by_label("Why").fill("moving house")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#runs")).to_contain_text("paused")
        page.get_by_role("button", name="Resume").click()
        expect(runs).to_have_count(10)
        page.get_by_role("button", name="my zone (").click()  # only the browser knows it
        expect(page.locator("footer")).to_contain_text("times are yours")
    after = office.world.events_of(SettingsUpdated)[-1].details.after
    assert after["timezone"] == "America/Toronto"
    assert office.world.recorded(SchedulePaused)[-1].note == "moving house"


def test_a_backup_is_deleted_after_its_name_was_typed(office: Office) -> None:
    """The last of the user's is refused to nobody who names it; a held one is."""
    with office.visit("user", 3, path="/console/backups") as page:
        page.get_by_text("Take a backup now").click()
        page.get_by_label("Name (or leave it empty)").fill("gone-soon")
        page.get_by_role("button", name="Take and verify").click()
        page.get_by_role("link", name="The backup").click()
        page.get_by_label("Type its name").fill("gone-soon.db")
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("gone-soon.db was deleted.")).to_be_visible()
        expect(page.get_by_role("link", name="gone-soon.db")).to_have_count(0)
    assert "gone-soon.db" not in office.world.files()


def test_two_users_see_nothing_of_each_other(office: Office) -> None:
    """Not in a list, and not by address."""
    with office.visit("user", 2, path="/console/backups") as page:
        assert "user1" not in page.content()
        assert "before-the-move" not in page.content()
        for path in ("backups/before-the-move.db", "schedules/1", "runs?user=1", "backups?user=1"):
            answer = page.goto(f"{office.address}/console/{path}")
            assert answer is not None
            assert answer.status == 404, path
        answer = page.goto(f"{office.address}/console/audit")
        assert answer is not None
        assert answer.status == 403
        expect(page.get_by_role("navigation")).not_to_contain_text("Audit")


def test_an_auditor_reads_and_changes_nothing(office: Office) -> None:
    """No control that changes anything is there, and the server refuses what is sent anyway."""
    name = "before-the-move.db"
    with office.visit("auditor") as page:
        for path in (f"backups/{name}", "backups", "schedules/1"):
            page.goto(f"{office.address}/console/{path}")
            for label in ("Hold", "Delete", "Release", "Save", "Pause", "Plan a restore"):
                assert page.get_by_role("button", name=label, exact=True).count() == 0, label
        csrf = page.locator("input[name=csrf]").first.get_attribute("value")
        before = office.world.site.ledger.log_recorder.head().size
        for path in (f"backups/{name}/hold", f"backups/{name}/delete", "schedules/1/pause"):
            answer = page.request.post(
                f"{office.address}/console/{path}",
                form={"csrf": csrf or "", "reason": "x", "confirmation": name},
            )
            assert answer.status == 403, path
    assert office.world.site.ledger.log_recorder.head().size == before


def _name(office: Office, user: int) -> str:
    """The newest scheduled backup of a user."""
    return next(each for each in office.world.present(user) if each.run_id is not None).filename


def _overflow(page: Page) -> int:
    root = "document.documentElement"
    return int(page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until something that has this in its label has the focus."""
    label = (
        "[document.activeElement.innerText, document.activeElement.ariaLabel,"
        " ...[...(document.activeElement.labels ?? [])].map((label) => label.innerText)].join(' ')"
    )
    for _ in range(40):
        page.keyboard.press("Tab")
        if name in page.evaluate(label):
            return
    raise AssertionError(f"{name} is not reached by Tab")


def test_a_page_changes_by_itself_until_it_is_paused(office: Office) -> None:
    """New runs appear and are announced, without a new page; paused, nothing moves."""
    world = office.world
    with office.visit(path="/console/runs?user=1") as page:
        newest = page.locator("#runs-list tbody th").first
        switch = page.get_by_role("button", name="Live")
        expect(switch).to_have_attribute("aria-pressed", "true")
        page.evaluate("document.body.dataset.same = 'yes'")
        first = newest.inner_text()
        _run_soon(world)
        expect(newest).not_to_have_text(first)
        second = newest.inner_text()
        expect(page.locator("[data-live-said]")).to_have_text("Changed: Runs")
        switch.press("Enter")
        expect(switch).to_have_attribute("aria-pressed", "false")
        _run_soon(world)
        expect(newest).to_have_text(second)
        switch.press("Enter")
        expect(newest).not_to_have_text(second)
        assert page.locator("body").get_attribute("data-same") == "yes"


def _run_soon(world: World) -> None:
    """One more run of user 1, before the visitor's session would end."""
    soon = world.clock.now() + timedelta(minutes=10)
    world.configure(1, backup_time=f"{soon:%H:%M}")
    world.move_to(soon)
    assert world.check().completed
