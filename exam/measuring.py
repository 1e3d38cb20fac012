"""What rulers read of pictures, kept on disk by ruler and by the picture's hash, so that each picture is measured once.

The file is only a copy of what can be measured again: one that cannot be read is measured anew and written over.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

import numpy as np

from exam.rulers import Ruler, read_file
from exam.verdict import Array
from machine.base_models import known_sha256
from utils import Event, Progress, replacing

STAGE = "exam-measure"
SAVED_EVERY = 64  # pictures: so much is measured again at most after a kill
VERSION = 1  # of the rulers: raised when one of them reads other numbers than before

Work = Sequence[tuple[str, Sequence[Path]]]  # names of rulers, and what each is to read


class RowStore:
    """The rows in one file, a NumPy archive without pickles; `makers` make a ruler by its name, once it has something to read."""

    def __init__(self, file: Path, makers: Mapping[str, Callable[[], Ruler]]) -> None:
        self._file, self._makers = file, makers
        self._rows: dict[str, dict[str, Array]] = {}
        with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            self._rows = _read(file)

    def measure(self, work: Work) -> Generator[Event, None, None]:
        """Measure what was not measured before and keep it; raises what a ruler raises that cannot be made."""
        missing: dict[tuple[str, str], Path] = {}
        for ruler, files in work:
            known = self._rows.get(ruler, {})
            missing |= {(ruler, sha256): file for file in files if (sha256 := known_sha256(file)) not in known}
        rulers: dict[str, Ruler] = {}
        try:
            for done, ((name, sha256), file) in enumerate(missing.items()):
                yield Progress(STAGE, done, len(missing), file.name)
                if name not in rulers:
                    rulers[name] = self._makers[name]()
                self._rows.setdefault(name, {})[sha256] = read_file(rulers[name], file)
                if done % SAVED_EVERY == SAVED_EVERY - 1:
                    self._save()
        finally:
            if missing:
                self._save()
        if missing:
            yield Progress(STAGE, len(missing), len(missing))

    def rows(self, ruler: str, files: Sequence[Path]) -> Array:
        """The rows of pictures that were measured, in their order; raises KeyError for one that was not."""
        return np.stack([self._rows[ruler][known_sha256(file)] for file in files])

    def _save(self) -> None:
        arrays: dict[str, Array | np.ndarray[tuple[int], np.dtype[np.bytes_]]] = {}
        for ruler, rows in self._rows.items():
            if rows:
                arrays[f"{ruler}.{VERSION}.of"] = np.array(sorted(rows), dtype="S64")
                arrays[f"{ruler}.{VERSION}.rows"] = np.stack([rows[sha256] for sha256 in sorted(rows)])
        with replacing(self._file) as part, part.open("wb") as opened:
            np.savez_compressed(opened, allow_pickle=False, **arrays)


def _read(file: Path) -> dict[str, dict[str, Array]]:
    """The rows by ruler and hash; those of another version of the rulers are left out."""
    found: dict[str, dict[str, Array]] = {}
    with np.load(file, allow_pickle=False) as archive:
        for name in archive.files:
            ruler, version, kind = name.split(".")
            if kind == "of" and version == str(VERSION):
                rows = archive[f"{ruler}.{version}.rows"]
                hashes = [one.decode("ascii") for one in archive[name]]
                found[ruler] = dict(zip(hashes, rows, strict=True))
    return found
