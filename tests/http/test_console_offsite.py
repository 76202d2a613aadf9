"""The console's page Off-site, and a backup's copies: what is seen, and what may be done."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path

import pytest

from commands.backups.take import take_backup
from commands.offsite.add import NewDestination, add_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.repository.seal import new_identity, recipient_of
from ledger.events.offsite import CopyCompleted, CopyVerified, DestinationRemoved
from tests.http.conftest import Place
from tests.http.test_console import fields_of, log_in

IDENTITIES = (new_identity(), new_identity())


@pytest.fixture
def copied(place: Place, tmp_path: Path) -> Place:
    """One backup is at `nas`; another one is not yet."""
    world = place.world
    recipients = tuple(recipient_of(each) for each in IDENTITIES)
    wanted = NewDestination(f"file://{tmp_path}/nas", "nas", recipients, IDENTITIES)
    add_destination(world.site, world.context(), wanted)
    take_backup(world.site, world.context(), filename="one")
    copy_missing(world.site, world.context())
    take_backup(world.site, world.context(), filename="two")
    return place


def test_the_page_says_what_is_there_and_what_is_not(copied: Place) -> None:
    text = log_in(copied, "auditor").get("/console/offsite").text
    assert "1 missing" in text
    assert "would come back from nas, as it was in one.db" in text
    assert "1 backup not copied yet would be lost" in text
    assert "That copy was never verified" in text
    assert "two.db" in text
    assert "every copy is kept" in text
    assert "unproved" in text
    assert "Copy what is missing" not in text  # an auditor changes nothing
    assert "Stop using" not in text


def test_without_a_destination_it_says_what_to_do(place: Place) -> None:
    text = log_in(place, "operator").get("/console/offsite").text
    assert "offsite add --help" in text
    assert "Every backup would be lost with it" in text


def test_copying_and_verifying_are_jobs(copied: Place) -> None:
    client = log_in(copied, "operator")
    for action, fields in (
        ("copy", {}),
        ("verify", {"level": "digest"}),
        ("collect", {"plan": "yes"}),
    ):
        form = fields_of(client, "/console/offsite") | fields
        answer = client.post(f"/console/offsite/nas/{action}", data=form)
        assert answer.status_code == 303, answer.text
        job = answer.headers["location"].rpartition("/")[2]
        for _ in range(1000):
            found = client.get(f"/console/api/jobs/{job}").json()
            if found["state"] in ("done", "failed"):
                break
        assert found["state"] == "done", found
        assert client.get(answer.headers["location"]).status_code == 200
    assert len(copied.world.recorded(CopyCompleted)) == 2
    assert [each.level for each in copied.world.recorded(CopyVerified)] == ["digest"] * 2
    form = fields_of(client, "/console/offsite") | {"level": "drill"}
    assert client.post("/console/offsite/nas/verify", data=form).status_code == 409
    for typed, status in (("cloud", 422), ("nas", 303)):
        form = fields_of(client, "/console/offsite") | {"confirmation": typed}
        assert client.post("/console/offsite/nas/remove", data=form).status_code == status
    assert [each.name for each in copied.world.recorded(DestinationRemoved)] == ["nas"]
    assert "no destination yet" in client.get("/console/offsite").text


def test_a_backups_page_leads_from_the_event_to_sha256sum(copied: Place, tmp_path: Path) -> None:
    """The commands of the page are run as they stand, and again after a pack was changed."""
    text = log_in(copied, "operator").get("/console/backups/one.db").text
    (script,) = re.findall(r"<pre class=\"wrap\"><code>(.*?)</code></pre>", text, re.DOTALL)
    commands = html.unescape(script)
    copy = copied.world.recorded(CopyCompleted)[0]
    assert copy.manifest_sha256 in commands

    def outcome() -> int:
        shell = f"set -e -o pipefail\n{commands}"
        return subprocess.run(
            ["bash", "-c", shell], cwd=tmp_path / "nas", capture_output=True, check=False
        ).returncode

    assert outcome() == 0
    (pack,) = (path for path in (tmp_path / "nas" / "packs").rglob("*") if path.is_file())
    pack.write_bytes(pack.read_bytes()[:-1])
    assert outcome() != 0


def test_users_have_no_page_off_site_and_see_their_backups_copies(copied: Place) -> None:
    client = log_in(copied, "user", 1)
    assert client.get("/console/offsite").status_code == 403
    assert "Off-site</a>" not in client.get("/console").text
