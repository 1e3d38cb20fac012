"""Training without a card: a client packed for `notebooks/colab.ipynb`, which trains it on a card of Google Colab's.

What is made is one folder that is uploaded to Google Drive as it is: the notebook, which knows the folder's name; the program; the
client's export. What comes back is an export again, which `client import FILE.zip --update` takes in.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from actions.action import Action, Answer, always
from actions.request import Ask, ClientRequest, Job, Menu, UserPath
from client_folder.client import Client
from client_folder.export import export_client, exports_folder
from locales.language import N_
from utils import Event, FolderMissing, replacing, sweep_parts_of, write_text

ROOT = Path(__file__).resolve().parent.parent  # the program's own folder
NOTEBOOK = ROOT / "notebooks" / "colab.ipynb"
PROGRAM = "avatar_pipeline.zip"
_TOP_FILES = ("*.py", "requirements*.txt", "pyproject.toml", "LICENSE", "README.md", "install.sh")
_DATA_FOLDERS = ("styles", "vendor", "notebooks")  # beside the packages
_TO_HELP = N_("Where to: a folder (empty: the folder exports beside clients):")


class ColabRequest(ClientRequest):
    """Whose export to make, and where."""

    to: Annotated[UserPath | None, Ask(_TO_HELP, "--to", "FOLDER", menu=Menu.PATH)] = None


@dataclass(frozen=True, slots=True)
class ColabFolder:
    """A folder to be uploaded to Google Drive: the notebook, the program and the export in it, and the bytes of all."""

    client: str
    folder: Path
    notebook: Path
    program: Path
    export: Path
    bytes: int


def pack_for_colab(job: Job[ColabRequest]) -> Generator[Event, None, ColabFolder]:
    """Write the folder; raises FolderMissing, ClientBusy, NoRoom or AmongClients."""
    client, to = job.who, job.request.to
    if to is not None and not to.is_dir():
        raise FolderMissing(path=to)
    folder = (to or exports_folder(job.home)) / f"colab_{client.id}"
    folder.mkdir(parents=True, exist_ok=True)
    exported = yield from export_client(client, folder / f"{client.id}.zip", overwrite=True)
    _pack_program(folder / PROGRAM)
    write_text(folder / NOTEBOOK.name, _notebook_for(client, folder.name))
    size = sum(path.stat().st_size for path in (exported.file, folder / PROGRAM, folder / NOTEBOOK.name))
    return ColabFolder(client.id, folder, folder / NOTEBOOK.name, folder / PROGRAM, exported.file, size)


def _notebook_for(client: Client, folder: str) -> str:
    """The notebook with the names of the client and of the folder on Drive filled in."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if "parameters" in cell["metadata"].get("tags", ()):
            lines = (
                "".join(cell["source"])
                .replace('CLIENT = ""', f'CLIENT = "{client.id}"')
                .replace('FOLDER = ""', f'FOLDER = "{folder}"')
            )
            cell["source"] = lines.splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _pack_program(target: Path) -> None:
    """The program's own files; nothing of a client's, whatever else lies in its folder."""
    sweep_parts_of(target)
    with replacing(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(_program_files()):
            archive.write(path, path.relative_to(ROOT).as_posix())


def _program_files() -> Iterator[Path]:
    for pattern in _TOP_FILES:
        yield from ROOT.glob(pattern)
    folders = {init.parent for init in ROOT.glob("*/__init__.py")} | {ROOT / name for name in _DATA_FOLDERS}
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


class ColabAnswer(Answer):
    """What was written, and where."""

    client: str
    folder: Path
    notebook: Path
    program: Path
    export: Path
    bytes: int


COLAB = Action("colab", ColabRequest, pack_for_colab, ColabAnswer.of, changes=False, lasts=always)
ACTIONS = (COLAB,)
