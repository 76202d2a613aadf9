"""`age` and `zstd`: those of the system, or small stand-ins with the same libraries' formats.

A stand-in is not a proof that the real program reads our files, so .ci/run installs both if it can.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

_AGE = """#!{python}
import sys, pyrage
arguments = sys.argv[1:]
assert arguments[0] == "-d", arguments
identities = []
if arguments[1:2] == ["-i"]:
    for line in open(arguments[2]):
        if line.startswith("AGE-SECRET-KEY-1"):
            identities.append(pyrage.x25519.Identity.from_str(line.strip()))
    arguments = arguments[2:]
data = open(arguments[1], "rb").read() if len(arguments) > 1 else sys.stdin.buffer.read()
try:
    sys.stdout.buffer.write(pyrage.decrypt(data, identities))
except pyrage.DecryptError as error:
    sys.exit(f"age: error: {{error}}")
"""
_ZSTD = """#!{python}
import io, sys
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd
assert sys.argv[1:] in (["-dc"], ["-d"]), sys.argv
sys.stdout.buffer.write(zstd.ZstdFile(io.BytesIO(sys.stdin.buffer.read())).read())
"""


def environment_with_programs(folder: Path) -> dict[str, str]:
    """An environment where `age` and `zstd` are found."""
    for name, script in (("age", _AGE), ("zstd", _ZSTD)):
        if shutil.which(name) is None:
            program = folder / name
            program.write_text(script.format(python=sys.executable))
            program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
