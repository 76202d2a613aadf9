"""An S3 server of this process's own, by moto; it starts inside the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

ACCESS, SECRET = "an-access-key", "a-very-secret-key"
BUCKET = "backups"


@contextmanager
def s3_server() -> Iterator[str]:
    """The server's URL; it has one bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        client_of(url).create_bucket(Bucket=BUCKET)
        yield url
    finally:
        server.stop()


def client_of(url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
    )


def options_of(url: str) -> dict[str, str]:
    """What a destination's event may hold."""
    return {"endpoint": url, "region": "us-east-1", "virtual_hosted_style_request": "false"}


def credentials() -> dict[str, str]:
    return {"access_key_id": ACCESS, "secret_access_key": SECRET}
