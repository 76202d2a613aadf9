"""Run by exec: copy or hash database files as plain files, in a process without connections.

    python raw_copy_process.py hash PATH
    python raw_copy_process.py copy SOURCE DESTINATION
    python raw_copy_process.py begin PATH
    python raw_copy_process.py end PATH

Prints "done <sha256> <bytes>", or for `begin` the first 4 KiB in hex and how many, and for
`end` the last 8 KiB ("done - 0" where there is nothing). SQLite's locks belong to the process that
closes a descriptor, so the application's process never opens such files this way. Standard
library only.
"""

import hashlib
import os
import sys

CHUNK_BYTES = 1024 * 1024
BEGINNING_BYTES = 4 * 1024
END_BYTES = 8 * 1024
"""More than a path can have."""


def main(arguments: list[str]) -> int:
    """Do one thing; 0 when done, 1 with "error" and the reason."""
    try:
        if arguments[0] == "begin":
            digest, size = _beginning(arguments[1])
        elif arguments[0] == "end":
            digest, size = _end(arguments[1])
        else:
            digest, size = _digest(arguments[1], arguments[2] if arguments[0] == "copy" else None)
    except OSError as error:
        print("error", error.strerror or error)
        return 1
    print("done", digest or "-", size)
    return 0


def _beginning(path: str) -> tuple[str, int]:
    begun = os.read(os.open(path, os.O_RDONLY), BEGINNING_BYTES)
    return begun.hex(), len(begun)


def _end(path: str) -> tuple[str, int]:
    try:
        ending = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return "", 0
    end = os.pread(ending, END_BYTES, max(0, os.fstat(ending).st_size - END_BYTES))
    return end.hex(), len(end)


def _digest(source: str, destination: str | None) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    reading = os.open(source, os.O_RDONLY)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    writing = None if destination is None else os.open(destination, flags, 0o600)
    while chunk := os.read(reading, CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
        while writing is not None and chunk:
            chunk = chunk[os.write(writing, chunk) :]
    if writing is not None:
        os.fsync(writing)
    return digest.hexdigest(), size


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
