"""Run by the new code: what was `attempted` is read as `wanted`, and stays stored as it was."""

from __future__ import annotations

from commands.errors import InvalidSettings
from commands.schedules.settings import configure
from tests.schema_changes.office import ADA, events_of, folder_argument, office, stored_records

with office(folder_argument()) as site:
    try:
        configure(site, site.context(ADA), 1, {"keep_count": 77})
    except InvalidSettings:
        pass
    else:
        raise AssertionError("a keep_count of 77 was taken")
    read = [each.details.to_json() for each in events_of(site, "backup_scheduler.settings_error")]
    assert [each["wanted"] for each in read] == [{"keep_count": 99}, {"keep_count": 77}]
    stored = stored_records(site, "backup_scheduler.settings_error")
    assert [sorted(each["details"]) for each in stored] == [
        ["attempted", "error_type"],
        ["error_type", "nonce", "wanted"],
    ]
