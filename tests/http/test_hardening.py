"""What people try: tokens in addresses, odd paths, odd headers, bodies without end."""

from __future__ import annotations

from collections.abc import Iterator

from commands.http.middleware.host_guard import HEADERS
from tests.http.conftest import Place
from tests.http.in_process import client_of

NAMES = (
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "..%5capp.db",
    ".store",
    "ledger.sqlite",
    "a%00b.db",
    "a%0d%0aSet-Cookie:x=1.db",
    "%ff%fe",
    "x" * 5000,
)


def test_a_token_in_an_address_is_refused(place: Place) -> None:
    """Addresses are written down by every proxy."""
    client = place.client("operator")
    for query in ("token=x", "access_token=x", "Token=x", "q=blt_abc"):
        answer = client.get(f"/database/stats?{query}")
        assert answer.status_code == 400
        assert "revoke" in answer.json()["detail"]


def test_no_name_leads_out_of_the_catalog(place: Place) -> None:
    """Neither to a file beside the backups nor to an error of ours."""
    client = place.client("operator")
    for name in NAMES:
        for method in ("GET", "DELETE"):
            answer = client.request(method, f"/database/backups/{name}")
            assert answer.status_code in (404, 422), (name, answer.text)
            assert "set-cookie" not in answer.headers
    assert client.post("/database/backup", json={"filename": "../out"}).status_code == 422
    assert (place.world.backups / "ledger.sqlite").exists()


def test_a_body_without_end_is_cut_off(place: Place) -> None:
    """With its length announced, and in pieces without one."""
    client = place.client("operator")
    large = b'{"filename": "' + b"a" * 100_000 + b'"}'
    headers = {"Content-Type": "application/json"}

    def pieces() -> Iterator[bytes]:
        yield from (large[start : start + 1000] for start in range(0, len(large), 1000))

    for content in (large, pieces()):
        answer = client.post("/database/backup", content=content, headers=headers)
        assert answer.status_code == 413


def test_a_deep_or_broken_body_is_refused(place: Place) -> None:
    """Nested ten thousand deep, no JSON, lone surrogates, numbers that are none."""
    client = place.client("operator")
    headers = {"Content-Type": "application/json"}
    for body in (
        b"[" * 10_000,
        b"{",
        b'{"filename": "\\ud800"}',
        b'{"user_id": 1e400}',
        b'{"user_id": 99999999999999999999}',
        b"\xff",
        b"null1",
    ):
        answer = client.post("/database/backup", content=body, headers=headers)
        assert answer.status_code in (400, 422), (body[:30], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


def test_every_answer_carries_the_headers_that_protect_a_browser(place: Place) -> None:
    """Also errors, and paths that do not exist; and no origin is let in."""
    client = place.client()
    for path in ("/health", "/database/stats", "/nowhere", "/database/backups/none.db"):
        answer = client.get(path, headers={"Origin": "http://localhost"})
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers.get("server") is None


def test_a_host_that_is_none_is_refused(place: Place) -> None:
    """Nothing that came in a Host header ever reaches an address in an answer."""
    client = place.client("operator")
    for host in ("a b", "a/b", "évil", ""):
        assert client.get("/health", headers={b"Host": host.encode()}).status_code == 421


def test_only_names_that_are_set_are_answered(place: Place) -> None:
    """The setting http_hosts, and this machine's own names."""
    from commands.http import create_app  # noqa: PLC0415  (a second application)

    app = create_app(place.app.state.served, hosts=("backups.example",))
    for host, status in (("backups.example", 200), ("localhost", 200), ("other.example", 421)):
        assert client_of(app, base_url=f"http://{host}").get("/health").status_code == status


def test_what_is_not_there_is_a_problem_too(place: Place) -> None:
    """404 and 405 of the application itself look like all others."""
    client = place.client()
    for method, path, status in (("GET", "/x", 404), ("PATCH", "/health", 405)):
        answer = client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
