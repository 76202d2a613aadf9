"""python3 restore.py --list | COPY_ID --out FILE  [--identity FILE]    needs `age` and `zstd`."""

import argparse
import datetime as dt
import hashlib
import pathlib
import struct
import subprocess
import sys
import tempfile
import uuid

HERE, HEAD = pathlib.Path(__file__).resolve().parent, "<4sHHIQ32s16s16s32sq16s"


def opened(path, identity):
    data = path.read_bytes()
    if path.parent.parent.name == "packs" and hashlib.sha256(data).hexdigest() != path.name:
        raise SystemExit(f"{path} is damaged: its SHA-256 is not its name")
    if data.startswith(b"age-encryption.org/"):
        age = ["age", "-d", "-i", identity or sys.exit("it is encrypted: give --identity FILE")]
        data = subprocess.run(age, input=data, stdout=subprocess.PIPE, check=True).stdout
    return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout


def manifest(copy_id, identity):
    body = opened(HERE / "copies" / str(uuid.UUID(copy_id)), identity)
    magic, version, _, chunk, size, sha, _, _, _, when, source = struct.unpack_from(HEAD, body)
    if (magic, version) != (b"BLM1", 1):
        raise SystemExit(f"copy {copy_id} is of a format that this program does not know")
    at, packs = 142 + struct.unpack_from("<H", body, 140)[0], []
    name = body[142:at].decode()
    for _ in range(struct.unpack_from("<I", body, at)[0]):
        key, _, count = struct.unpack_from("<32sII", body, at + 4)
        frames = struct.iter_unpack("<III", body[at + 44 : at + 44 + 12 * count])
        packs.append((key.hex(), [plain for _, _, plain in frames]))
        at += 40 + 12 * count
    n, at = -(-size // chunk), at + 4
    columns = [struct.unpack_from(f"<{n}I", body, at + skip) for skip in (0, 4 * n)]
    made = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=when)
    facts = (f"{made:%Y-%m-%dT%H:%M:%SZ}", copy_id, size, str(uuid.UUID(bytes=source)), name)
    return facts, sha.hex(), chunk, packs, list(zip(*columns, body[at + 8 * n :]))


def restore(copy_id, identity, out):
    (_, _, size, _, _), digest, chunk, packs, rows = manifest(copy_id, identity)
    with open(out, "xb+") as file:
        current, starts, found = -1, [], hashlib.sha256()
        for i in sorted(range(len(rows)), key=rows.__getitem__):  # each pack is opened once
            if rows[i][0] != current:
                current, (name, plain) = rows[i][0], packs[rows[i][0]]
                content = opened(HERE / "packs" / name[:2] / name, identity)
                starts = [sum(plain[:number]) for number in range(len(plain))]
            at = starts[rows[i][1]] + rows[i][2] * chunk
            file.seek(i * chunk)
            file.write(content[at : at + min(chunk, size - i * chunk)])
        file.seek(0)
        for piece in iter(lambda: file.read(1 << 20), b""):
            found.update(piece)
    if found.hexdigest() != digest:
        raise SystemExit(f"{out} is damaged: SHA-256 {found.hexdigest()}, not {digest}")
    print(f"{out}: {size} bytes are whole; that this ledger made them is not proved")


parser = argparse.ArgumentParser(usage=__doc__)
for option in ("--list", "--identity", "--out", "copy_id"):
    parser.add_argument(option, nargs="?")
given = parser.parse_args()
sys.excepthook = lambda _, error, __: print("failed:", error, file=sys.stderr)
with tempfile.NamedTemporaryFile() as unlocked:  # 0600, and gone at the end
    if given.identity:
        is_plain = b"AGE-SECRET-KEY-1" in pathlib.Path(given.identity).read_bytes()
        read = ["cat"] if is_plain else ["age", "-d"]  # asks for the passphrase once
        subprocess.run([*read, given.identity], stdout=unlocked, check=True)
    key = given.identity and unlocked.name
    if given.copy_id:
        restore(given.copy_id, key, given.out or sys.exit("give --out FILE, a new file"))
    else:
        for facts in sorted(manifest(p.name, key)[0] for p in (HERE / "copies").glob("*[0-9a-f]")):
            print(*(str(fact).encode("unicode_escape").decode() for fact in facts), sep="  ")
