"""docs/HTTP.md: its commands and its example run as they are written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands.world import make_database
from tests.http.in_process import client_of
from tests.http.test_server import PROGRAM
from tests.readme import README

GUIDE = Path(__file__).parents[2] / "docs" / "HTTP.md"


def blocks(kind: str) -> list[str]:
    return re.findall(
        rf"^```{kind}\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.skipif(
    any(shutil.which(each) is None for each in ("bash", "curl")), reason="needs bash and curl"
)
def test_the_commands_of_the_guide_work(tmp_path: Path, warm_path: str) -> None:
    """Each answers; the job ends."""
    database = make_database(tmp_path / "app.db")
    command = [str(PROGRAM), "--database", str(database)]
    subprocess.run([*command, "ledger", "init"], check=True, capture_output=True)
    with subprocess.Popen(
        [*command, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().split() for _ in range(2)]
        url = said[0][-1]
        (sample,) = blocks("console")
        shown = [line.split() for line in sample.splitlines() if line and line[0] not in "$#"]
        assert [line[:-1] for line in shown[:2]] == [line[:-1] for line in said]
        script = "\n".join(blocks("sh")).replace("http://127.0.0.1:8080/database", url)
        assert url in script
        finished = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=os.environ | {"PATH": warm_path},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        process.terminate()
    assert finished.returncode == 0, f"{finished.stdout}\n{finished.stderr}"
    assert '"restored": true' in finished.stdout
    assert "event: end" in finished.stdout
    assert '"released_count": 1' in finished.stdout


def test_the_router_is_mounted_in_ten_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example as it stands: the application's own users, each with their own backups."""
    make_database(tmp_path / "app.db")
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("python")
    assert example in README.read_text("utf-8")
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    namespace: dict[str, object] = {}
    exec(compile(example, "docs/HTTP.md", "exec"), namespace)  # noqa: S102  (what is tested)
    client = client_of(namespace["app"])
    one, two = {"X-User": "1"}, {"X-User": "2"}
    name = client.post("/database/backup", headers=one).json()["filename"]
    assert client.get("/database/backups", headers=one).json()["count"] == 1
    assert client.get("/database/backups", headers=two).json()["count"] == 0
    refused = client.get(f"/database/backups/{name}", headers=two)
    assert refused.status_code == 404
    assert refused.headers["content-type"] == "application/problem+json"
    assert client.get("/database/backups").status_code == 401
