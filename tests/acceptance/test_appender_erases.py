"""Erasing on a server: the owner's right alone."""

from __future__ import annotations

from tests.acceptance.place import Place
from tests.acceptance.test_ledger_places import Logins, on
from tests.acceptance.test_ledger_places import logins as logins  # noqa: PLC0414  (the fixture)


def test_an_appender_may_not_erase_and_the_owner_may(place: Place, logins: Logins) -> None:
    """Refused in one line, with nothing appended; the read models follow the owner's act."""
    assert on(logins.appender, place, "settings", "set", "7").code == 0
    assert on(logins.appender, place, "settings", "pause", "7", "--note", "in Rome").code == 0
    erase = ("erase", "--user", "7", "--ticket", "DSR-1", "--yes", "--json")
    places = ("--ledger", logins.appender, "--projections", logins.appender)
    refused = place.run(*places, *erase)
    assert refused.code == 1
    assert "permission denied" in refused.err
    assert "in Rome" in on(logins.appender, place, "audit", "log", "--json").out
    done = on(logins.admin, place, *erase)
    assert len(done.json["redactions"]) == 2
    log = on(logins.appender, place, "audit", "log", "--json")
    assert "in Rome" not in log.out
    assert "[erased]" in log.out
    verified = on(logins.admin, place, "audit", "verify", "--json").json
    assert verified["ok"]
    assert verified["notes"][0].startswith("2 records were erased on request")
    on(logins.appender, place, "settings", "resume", "7")
    assert on(logins.appender, place, "projections", "diff").code == 0
