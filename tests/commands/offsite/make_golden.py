"""Made the golden repositories of version 1, once: python -m tests.commands.offsite.make_golden.

They are kept for ever; a change of the format makes another folder beside theirs.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from random import Random

from tests.commands.offsite.repositories import IDENTITY, Repository, make_sqlite

GOLDEN = Path(__file__).parents[2] / "golden" / "offsite-1"


def make(
    name: str, sources: list[Path], identities: tuple[str, ...], *, share: bool = True
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        repository = Repository(Path(scratch), identities, share)
        repository.begin()
        copies = []
        for path in sources:
            result = repository.copy(path)
            job = repository.jobs[repository.newest]
            copies.append({
                "filename": job.filename, "copy_id": job.copy_id, "backup_id": job.backup_id,
                "size": job.size, "sha256": job.sha256, "packs_root": result.packs_root,
                "manifest_sha256": result.manifest_sha256,
                "pack_names": result.pack_names,
            })  # fmt: skip
        target = GOLDEN / name
        target.mkdir(parents=True)
        shutil.copytree(repository.store.root, target / "repository")
        expected = {"identities": list(identities), "share": share, "copies": copies}
        (target / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        small, large, odd = folder / "small.db", folder / "large pages é.db", folder / "odd.db"
        make_sqlite(small, 4096)
        make_sqlite(large, 65_536)
        odd.write_bytes(Random(7).randbytes(10_001))
        changed = folder / "changed.db"
        shutil.copy(small, changed)
        changed.write_bytes(changed.read_bytes()[:-4096] + b"\xaa" * 4096)
        empty = folder / "empty.db"
        empty.touch()
        make("shared", [small, changed, odd, empty], (IDENTITY,))
        make("large-pages", [large], (IDENTITY,))
        make("whole", [small, changed], (IDENTITY,), share=False)
        make("clear", [small, odd], ())


if __name__ == "__main__":
    main()
