"""The command line for the shell blocks of guides, from a process that has everything imported.

    python -m tests.warm_program SOCKET

It forks for each command, as a fresh process in no time. In place of `backup-ledger` stands a
small program on the PATH (CLIENT), which hands over its arguments, environment, folder and
descriptors, passes signals on, and ends as the command ended. What is about the start itself
(`tests/acceptance/test_whole_process.py` and others) runs the real one.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import select
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import commands
from commands.cli import main as run_command_line

READY = "ready"
HAND_OVER_BYTES = 1 << 20
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
service = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
service.connect({socket!r})
job = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
socket.send_fds(service, [json.dumps(job).encode() + b"\\n"], [0, 1, 2])
answers = service.makefile()
process = int(answers.readline())
for each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(each, lambda number, _: os.kill(process, number))
status = int(answers.readline())
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


def live(job: dict[str, object], descriptors: list[int]) -> int:
    """Be the command that was asked for; its exit code."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(str(job["folder"]))
    os.environ.clear()
    os.environ.update(job["environment"])  # type: ignore[call-overload]
    sys.argv = ["backup-ledger", *job["arguments"]]  # type: ignore[misc]
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    try:
        run_command_line()
    except SystemExit as ended:
        return int(ended.code or 0)
    except BaseException:  # noqa: BLE001  (as the interpreter itself shows it)
        traceback.print_exc()
        return 1
    return 0


def serve(connection: socket.socket) -> None:
    """Start one command, say which process it is, and how it ended."""
    said, descriptors, _, _ = socket.recv_fds(connection, HAND_OVER_BYTES, 3)
    while not said.endswith(b"\n"):
        said += connection.recv(HAND_OVER_BYTES)
    process = os.fork()
    if process == 0:
        connection.close()
        code = live(json.loads(said), descriptors)
        for each in (sys.stdout, sys.stderr):
            each.flush()
        os._exit(code)
    connection.sendall(b"%d\n" % process)
    _, status = os.waitpid(process, 0)
    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def main(path: str) -> None:
    """Import what commands import when they run, then fork for each, until nobody is there."""
    for each in pkgutil.walk_packages(commands.__path__, "commands."):
        if not each.name.endswith(("_process", ".repository.restore")):
            import_module(each.name)
    gc.freeze()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        listening.listen()
        print(READY, flush=True)  # noqa: T201
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                serve(connection)
                os._exit(0)
            connection.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    continue  # those that ended meanwhile


@contextmanager
def warm_program(folder: Path) -> Iterator[str]:
    """A PATH on which `backup-ledger` is the client, before everything else."""
    path = folder / "socket"
    client = folder / "backup-ledger"
    client.write_text(CLIENT.format(python=sys.executable, socket=str(path)))
    client.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.warm_program", path],
        stdin=subprocess.PIPE,  # its end is ours, however it comes
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    ) as service:
        assert service.stdout is not None
        assert service.stdout.readline().strip() == READY
        found = Path(sys.executable).parent, os.environ["PATH"]
        yield os.pathsep.join(map(str, (folder, *found)))
        service.kill()


if __name__ == "__main__":
    main(sys.argv[1])
