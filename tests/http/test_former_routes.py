"""The routes and shapes that applications of the former service call."""

from __future__ import annotations

from tests.http.conftest import Place

METADATA = {"filename", "filepath", "size", "created_at", "is_protected"}


def test_a_backup_is_made_listed_shown_restored_and_deleted(place: Place) -> None:
    """The life of a backup through the former routes, with the former shapes."""
    client = place.client("operator")
    made = client.post("/database/backup")
    assert made.status_code == 201, made.text
    assert set(made.json()) == {
        "filename", "path", "size_bytes", "size_mb", "created_at", "is_valid", "is_protected",
        "metadata",
    }  # fmt: skip
    name = made.json()["filename"]
    listed = client.get("/database/backups").json()
    assert listed["count"] == 1
    assert set(listed["backups"][0]) == METADATA
    assert client.get(f"/database/backups/{name}").json() == listed["backups"][0]
    restored = client.post("/database/restore", json={"backup_filename": name})
    assert restored.status_code == 200, restored.text
    assert set(restored.json()) == {"restored", "message", "pre_restore_backup"}
    kept = restored.json()["pre_restore_backup"]["filename"]
    refused = client.delete(f"/database/backups/{kept}")
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    assert "protected" in refused.json()["detail"]
    assert client.delete(f"/database/backups/{kept}?force=true").json()["deleted"] is True
    assert client.delete(f"/database/backups/{name}").status_code == 200
    assert client.get(f"/database/backups/{name}").status_code == 404


def test_stats_count_the_applications_tables_and_the_backups(place: Place) -> None:
    """The numbers that the former dashboard shows."""
    client = place.client("operator")
    client.post("/database/backup")
    found = client.get("/database/stats").json()
    assert found["connected"] is True
    assert found["tables"] == {"cases": 20}
    assert (found["table_count"], found["total_records"], found["backups_count"]) == (1, 20, 1)
    assert found["backups_size_bytes"] > 0


def test_optimizing_says_what_it_gave_back_and_is_recorded(place: Place) -> None:
    """VACUUM of the live database, as an event."""
    client = place.client("operator")
    found = client.post("/database/optimize")
    assert found.status_code == 200, found.text
    done = found.json()
    assert done["success"] is done["analyze_completed"] is True
    assert done["space_reclaimed_bytes"] == max(
        0, done["size_before_bytes"] - done["size_after_bytes"]
    )
    newest = client.get("/database/audit/log?type=ledger.source_optimized").json()["events"]
    assert newest[0]["record"]["details"]["size_after"] == done["size_after_bytes"]


def test_the_callers_schedule_is_made_shown_and_disabled(place: Place) -> None:
    """A user's own settings: 404 before, disabled and still there after DELETE."""
    client = place.client("user", 1)
    assert client.get("/database/backup/schedule").status_code == 404
    made = client.post("/database/backup/schedule", json={"backup_time": "04:30", "keep_count": 5})
    assert (made.status_code, made.json()["user_id"]) == (200, 1)
    assert client.get("/database/backup/schedule").json()["backup_time"] == "04:30"
    assert client.delete("/database/backup/schedule").status_code == 204
    assert client.get("/database/backup/schedule").json()["enabled"] is False
    longer = {"keep_within_days": 3, "keep_daily": 7, "keep_weekly": 4, "keep_monthly": 12}
    kept = client.post("/database/backup/schedule", json=longer | {"keep_yearly": 5}).json()
    assert {name: kept[name] for name in longer} == longer
    assert (kept["keep_yearly"], kept["keep_count"]) == (5, 5)
    wrong = client.post("/database/backup/schedule", json={"keep_daily": -1})
    assert (wrong.status_code, "keep_daily" in wrong.json()["detail"]) == (422, True)
    assert client.post("/database/backup/schedule", json={"keep_count": 99}).status_code == 422
    hourly = client.post("/database/backup/schedule", json={"cron": "0 * * * *"})
    assert (hourly.json()["cron"], hourly.json()["frequency"]) == ("0 * * * *", "daily")
    refused = client.post("/database/backup/schedule", json={"cron": "0 * * *"})
    assert refused.status_code == 422
    assert "five fields" in refused.json()["detail"]


def test_retention_answers_with_its_summary(place: Place) -> None:
    """What was deleted, and the counts that the former screens show."""
    client = place.client("operator")
    for _ in range(3):
        client.post("/database/backup")
    found = client.post("/database/retention?keep_count=1").json()
    assert found["deleted_count"] == 2
    assert found["summary"] == {"total": 3, "protected": 0, "to_keep": 1, "to_delete": 2}
    assert client.post("/database/retention?keep_count=0").status_code == 422


def test_scheduler_stats_have_the_four_keys(place: Place) -> None:
    """As get_stats answers."""
    place.client("user", 1).post("/database/backup/schedule", json={})
    assert place.client("auditor").get("/database/scheduler/stats").json() == {
        "is_running": False,
        "check_interval_seconds": 60,
        "enabled_backup_settings": 1,
        "total_backup_settings": 1,
    }
