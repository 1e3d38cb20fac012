"""The table of models, where they lie, and their download from a real server of ours: resumed, checked, refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from stages import run

from config import EMBEDDED_FOLDER, Settings
from machine.downloads import HubUnreachable, ModelDamaged, NoRoomForModels, PreloadPlan, Room, plan_preload, preload
from machine.models import MODELS, USUAL, Allows, Model, ModelFile, ModelUnknown, Origin, find, list_models, locate, model_named
from utils import DiskFull

ROOT = Path(__file__).resolve().parents[2]
CONTENT = bytes(range(256)) * 4096 * 8  # 8 MB


class Server(BaseHTTPRequestHandler):
    """Serves CONTENT and archives with ranges; remembers what was asked for, and may cut a download off."""

    files: dict[str, bytes] = {}
    ranges: list[str] = []
    cut_after: int | None = None

    def do_GET(self):
        data = self.files.get(self.path.lstrip("/"))
        if data is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range") or ""
        type(self).ranges.append(asked)
        start = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        end = len(data) if type(self).cut_after is None else min(len(data), start + type(self).cut_after)
        self.wfile.write(data[start:end])
        if end < len(data):
            self.wfile.flush()
            self.connection.close()

    def log_message(self, *_words):
        pass


@pytest.fixture
def server():
    Server.files, Server.ranges, Server.cut_after = {}, [], None
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}/"
    httpd.shutdown()
    httpd.server_close()


def released(source: str, sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> Model:
    file = ModelFile("weights.onnx", len(CONTENT), sha256)
    return Model("weights", "Weights", Origin.RELEASE, source, "1", (file,), "MIT", Allows.ALL, 1.0)


def plan_of(model: Model, folder: Path) -> PreloadPlan:
    return PreloadPlan((locate(model, folder),), (), folder, (Room(folder, model.bytes, 10**12),))


# --- the table --------------------------------------------------------------------------------------------------------
def test_the_table_says_everything_of_a_model_and_invents_no_hash():
    assert len({model.name for model in MODELS}) == len(MODELS)
    for model in MODELS:
        assert model.title and model.source and model.revision and model.licence and model.vram_gb >= 0 and model.files
        for file in (*model.files, *model.archives):
            assert re.fullmatch(r"([0-9a-f]{64})?", file.sha256), file
        assert model.origin is not Origin.HUB or re.fullmatch("[0-9a-f]{40}", model.revision), "a branch means other files tomorrow"
    assert all(model.allows is Allows.RESEARCH for model in MODELS if "InsightFace" in model.licence)
    assert {model_named(name).origin for name in USUAL} == {Origin.HUB}
    with pytest.raises(ModelUnknown, match="nonesuch"):
        model_named("nonesuch")


def test_the_embedded_base_is_always_here(tmp_path):
    found = find("embedded", tmp_path, Settings())
    assert found.here and found.path == EMBEDDED_FOLDER / "model_index.json"


def test_files_are_found_where_a_user_puts_them(tmp_path):
    assert not find("sdxl-lightning-4", tmp_path, Settings()).here
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "sdxl_lightning_4step_unet.safetensors").write_bytes(b"x")
    assert find("sdxl-lightning-4", tmp_path, Settings()).path == folder / "sdxl_lightning_4step_unet.safetensors"
    elsewhere = tmp_path / "elsewhere"
    settings = Settings(models_folder=str(elsewhere))
    assert not find("sdxl-lightning-4", tmp_path, settings).here
    (elsewhere / "whisper-base").mkdir(parents=True)
    for file in model_named("whisper-base").files:
        (elsewhere / "whisper-base" / file.path).write_bytes(b"x")
    found = find("whisper-base", tmp_path, settings)
    assert found.here and found.path == elsewhere / "whisper-base" / "model.bin"
    (elsewhere / "whisper-base" / "tokenizer.json").unlink()
    assert not find("whisper-base", tmp_path, settings).here, "half a model is none"


def test_files_are_found_in_the_hubs_cache(tmp_path, monkeypatch):
    model = model_named("whisper-base")
    cache = tmp_path / "hub"
    snapshot = cache / "models--Systran--faster-whisper-base" / "snapshots" / model.revision
    snapshot.mkdir(parents=True)
    for file in model.files:
        (snapshot / file.path).write_bytes(b"x")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    assert find("whisper-base", tmp_path, Settings()).path == snapshot / "model.bin"


# --- downloads --------------------------------------------------------------------------------------------------------
def test_a_release_is_fetched_with_progress_and_checked(server, tmp_path):
    Server.files["weights.onnx"] = CONTENT
    events, report = run(preload(plan_of(released(server), tmp_path)))
    assert (tmp_path / "weights.onnx").read_bytes() == CONTENT
    assert report.fetched == ("weights",) and report.checked == 1
    assert events[-1].done == events[-1].total == len(CONTENT) // 1_000_000
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["weights.onnx"]
    assert locate(released(server), tmp_path).here


def test_a_download_that_was_cut_off_goes_on(server, tmp_path):
    Server.files["weights.onnx"] = CONTENT
    (tmp_path / ".weights.onnx.download").write_bytes(CONTENT[:5_000_000])
    run(preload(plan_of(released(server), tmp_path)))
    assert Server.ranges == ["bytes=5000000-"]
    assert (tmp_path / "weights.onnx").read_bytes() == CONTENT


def test_a_stopped_download_keeps_what_has_come(server, tmp_path):
    Server.files["weights.onnx"] = CONTENT
    stage = preload(plan_of(released(server), tmp_path))
    next(stage)
    stage.close()
    assert not (tmp_path / "weights.onnx").exists()
    run(preload(plan_of(released(server), tmp_path)))
    assert (tmp_path / "weights.onnx").read_bytes() == CONTENT


def test_what_is_not_what_was_published_is_removed(server, tmp_path):
    Server.files["weights.onnx"] = CONTENT
    with pytest.raises(ModelDamaged, match="not the file that was published"):
        run(preload(plan_of(released(server, "0" * 64), tmp_path)))
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_an_archive_is_taken_apart_and_every_file_checked(server, tmp_path):
    archive = tmp_path / "pack.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("deep/one.onnx", b"one")
        packed.writestr("../../escape.onnx", b"out")
        packed.writestr("unused.onnx", b"unused")
    Server.files["pack.zip"] = archive.read_bytes()
    member = ModelFile("pack/one.onnx", 0, hashlib.sha256(b"one").hexdigest(), "pack.zip")
    packed_file = ModelFile("pack.zip", len(archive.read_bytes()), hashlib.sha256(archive.read_bytes()).hexdigest())
    model = replace(released(server), files=(member,), archives=(packed_file,))
    folder = tmp_path / "models"
    folder.mkdir()
    _, report = run(preload(plan_of(model, folder)))
    assert report.checked == 2
    here = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if ".locks" not in path.parts)
    assert here == ["pack", "pack/one.onnx"]
    assert not (tmp_path / "escape.onnx").exists()


def test_a_file_in_a_whole_archive_that_is_not_the_one_that_was_published_gets_no_name(server, tmp_path):
    archive = tmp_path / "pack.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("one.onnx", b"another one")
    Server.files["pack.zip"] = archive.read_bytes()
    member = ModelFile("pack/one.onnx", 0, hashlib.sha256(b"one").hexdigest(), "pack.zip")
    whole = ModelFile("pack.zip", len(archive.read_bytes()), hashlib.sha256(archive.read_bytes()).hexdigest())
    model = replace(released(server), files=(member,), archives=(whole,))
    with pytest.raises(ModelDamaged, match=r"one\.onnx"):
        run(preload(plan_of(model, tmp_path / "models")))
    assert not locate(model, tmp_path / "models").here


def test_a_missing_file_says_how_to_place_it_by_hand(server, tmp_path):
    with pytest.raises(HubUnreachable, match="404") as refused:
        run(preload(plan_of(released(server), tmp_path)))
    assert server in refused.value.cure() and str(tmp_path) in refused.value.cure()


def test_a_disk_without_room_is_said_before_anything_is_fetched(server, tmp_path):
    plan = replace(plan_of(released(server), tmp_path), rooms=(Room(tmp_path, len(CONTENT), 1_000_000),))
    with pytest.raises(NoRoomForModels, match="8 MB to download, 1 MB free") as refused:
        run(preload(plan))
    assert isinstance(refused.value, DiskFull)
    assert Server.ranges == []


def test_a_plan_tells_what_is_missing_and_the_room(tmp_path):
    plan = plan_preload(
        tmp_path, Settings(models_folder=str(tmp_path / "m")), ("embedded", "inswapper_128", "buffalo_l", "embedded")
    )
    assert plan.here == ("embedded",)
    assert [found.model.name for found in plan.models] == ["inswapper_128", "buffalo_l"]
    assert plan.bytes == 554_253_681 + 288_621_354 and plan.free > 0


# --- from the command line --------------------------------------------------------------------------------------------
def command(home, *words, **environment):
    done = subprocess.run(
        [sys.executable, "avatar_pipeline.py", "--home", str(home), "models", *words, "--json"],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "HF_HOME": str(home / "hf"), **environment},
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout), done.stderr


def test_models_are_listed(tmp_path):
    code, answer, _ = command(tmp_path, "list")
    assert code == 0 and [model["name"] for model in answer["models"]] == [model.name for model in MODELS]
    swapper = answer["models"][-1]
    assert swapper["allows"] == "research" and not swapper["here"] and swapper["place"] == str(tmp_path / "models")
    assert len(list_models(tmp_path, Settings())) == len(MODELS)


def test_offline_a_preload_fails_cleanly_and_says_what_to_do(tmp_path):
    code, answer, errors = command(tmp_path, "preload", "whisper-tiny", "--yes", HF_HUB_OFFLINE="1")
    assert code == 1 and "HF_HUB_OFFLINE=1" in answer["error"]
    assert (
        "huggingface.co/Systran/faster-whisper-tiny" in answer["hint"]
        and str(tmp_path / "models" / "whisper-tiny") in answer["hint"]
    )
    assert "Traceback" not in errors


def test_insightface_is_not_fetched_without_the_licence_answer(tmp_path):
    code, answer, _ = command(tmp_path, "preload", "inswapper_128", "--yes")
    assert code == 1 and "--licence" in answer["hint"]


def test_an_unknown_model_is_named_and_free_with_nothing_loaded_is_no_error(tmp_path):
    code, answer, _ = command(tmp_path, "preload", "nonesuch", "--yes")
    assert code == 1 and "nonesuch" in answer["error"]
    assert command(tmp_path, "free")[:2] == (0, {"freed": [], "note": "only_this_program"})
