"""Who did it is the account, whatever the environment says; who logged in stands beside it."""

from __future__ import annotations

import os
import pwd

import pytest

from commands.site import actors

NOBODY = 65_534


@pytest.fixture(autouse=True)
def _no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors, "_login_uid", lambda: "4294967295")
    monkeypatch.delenv("SUDO_UID", raising=False)


def name_of(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name


def test_the_environment_does_not_say_who_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "ada.judge")
    assert actors.operator().id == name_of(os.geteuid())


def test_who_became_another_account_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's login uid, which nobody can change in a session."""
    monkeypatch.setattr(actors, "_login_uid", lambda: f"{NOBODY}\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert actors.operator().id == f"{name_of(0)} (login: {name_of(NOBODY)})"


def test_sudo_is_believed_of_root_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any account can set SUDO_UID for itself; only root was made root by sudo."""
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert actors.operator().id == f"{name_of(0)} (login: {name_of(NOBODY)})"
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY - 1)
    assert "login" not in actors.operator().id


@pytest.mark.parametrize("nonsense", ["", "-1", "abc", "9" * 30, "1; rm"])
def test_nonsense_in_the_environment_is_nobody(
    monkeypatch: pytest.MonkeyPatch, nonsense: str
) -> None:
    monkeypatch.setenv("SUDO_UID", nonsense)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert actors.operator().id == name_of(0)


def test_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999_999)
    assert actors.operator().id == "uid 3999999999"
