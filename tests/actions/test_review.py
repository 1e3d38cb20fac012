"""Pictures accepted by hand, and that taken back, as the action runs it."""

from __future__ import annotations

from pathlib import Path

from people_kit import GOOD, photos_of, seen_client
from stages import finish

from actions.review import accept_pictures, rejected
from client_folder.client import Client
from client_folder.records import DetectedFaces
from config import Settings
from image_processor import process_faces
from utils import read_record, write_record


def accepted(client: Client) -> set[str]:
    return {face.file for face in client.faces() if face.crop}


def test_accepting_by_hand_is_taken_back_by_undo(tmp_path: Path) -> None:
    client = seen_client(tmp_path, photos_of(0, 3) | {"small.png": [0]})
    for path in client.looks.iterdir():
        seen = read_record(path, DetectedFaces)
        if seen.file == "small.png":
            small = seen.faces[0].model_copy(update={"measures": {**GOOD, "upscale": 9.0}})
            write_record(path, seen.model_copy(update={"faces": (small,)}))
    finish(process_faces(client, Settings()))
    assert rejected(client).by_hand == () and "small.png" not in accepted(client)
    reviewed = finish(accept_pictures(client, Settings(), ["small.png"]))
    assert reviewed.accepted == ("small.png",) and rejected(client).by_hand == ("small.png",)
    assert "small.png" in accepted(client) and len(client.crops()) == 4
    reviewed = finish(accept_pictures(client, Settings(), ["undo:small.png"]))
    assert [one.source for one in reviewed.refused] == ["small.png"] and reviewed.accepted == ()
    assert rejected(client).by_hand == () and len(client.crops()) == 3
    assert len(rejected(client).reasons) == 1
