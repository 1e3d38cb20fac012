"""Downloads of the real program from a stand-in hub: checked with links and without, gone on with, and every failure in words."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from stages import run
from standin_hub import Hub, content_of, serve

from config import Settings
from machine import downloads, models
from machine.downloads import DownloadBusy, HubUnreachable, plan_preload, preload
from machine.models import model_named

STANDIN = Path(__file__).resolve().parents[1] / "standin_hub.py"
TINY, VAE, WEIGHTS = "whisper-tiny", "sdxl-vae", "model.bin"
LARGE = content_of("large", 3_000_000)
LINKS = pytest.mark.parametrize("links", [True, False], ids=["links", "no_links"])


@pytest.fixture
def hub():
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("det_10g.onnx", "w600k_r50.onnx"):
            archive.writestr(f"deep/{name}", name)
    members = {f"buffalo_l/buffalo_l/{name}": name.encode() for name in ("det_10g.onnx", "w600k_r50.onnx")}
    with serve({f"{TINY}/{WEIGHTS}": LARGE, "buffalo_l/buffalo_l.zip": packed.getvalue(), **members}) as served:
        yield served


class Program:
    """The program with a home and a cache of its own, asking a stand-in hub."""

    def __init__(self, hub: Hub, home: Path, **environment: str) -> None:
        self.hub, self.home, self.cache = hub, home, home / "cache"
        self._environment = {**os.environ, **hub.environment(self.cache), "PYTHONPATH": str(STANDIN.parents[1]), **environment}
        self._table = hub.write_table(home / "table.json")

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(STANDIN), str(self._table), "--home", str(self.home), "--language", "en", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self._environment,
        )  # fmt: skip

    def preload(self, *names: str) -> tuple[int, dict]:
        child = self.start("models", "preload", *names, "--yes", "--json")
        out, errors = child.communicate(timeout=120)
        assert "Traceback" not in errors
        return child.returncode, json.loads(out)

    def file(self, name: str, path: str) -> Path:
        model = model_named(name)
        return self.cache / f"models--{model.source.replace('/', '--')}" / "snapshots" / model.revision / path

    def part(self, name: str, path: str) -> Path:
        return self.file(name, path).with_name(f".{Path(path).name}.download")


@LINKS
def test_every_model_comes_from_its_pinned_commit_and_every_file_is_checked(hub, tmp_path, links):
    program = Program(hub, tmp_path, HF_HUB_DISABLE_SYMLINKS="" if links else "1")
    (tmp_path / "settings.json").write_text('{"insightface_use": "research"}')
    names = [row.name for row in models.MODELS if row.name != "embedded"]
    code, answer = program.preload(*names)
    assert code == 0 and set(answer["fetched"]) == set(names)
    # SDXL's configuration is fetched once; the archive and what is taken out of it are checked each.
    assert answer["checked"] == sum(len(row.files) + len(row.archives) for row in models.MODELS if row.name in names) - 14
    assert program.file(TINY, WEIGHTS).read_bytes() == LARGE
    assert (tmp_path / "models" / "buffalo_l" / "det_10g.onnx").read_bytes() == b"det_10g.onnx"
    commits = {path.split("/resolve/")[1].split("/")[0] for path, _headers in hub.asked_for("") if "/resolve/" in path}
    assert commits == {row.revision for row in models.MODELS if row.origin is models.Origin.HUB}
    assert list(tmp_path.rglob("*.download")) == []
    before = len(hub.asked)
    assert program.preload(*names)[1]["fetched"] == [] and len(hub.asked) == before, "what is here is not asked for again"


@LINKS
@pytest.mark.parametrize("path", [WEIGHTS, "config.json"], ids=["by_sha256", "by_gits_own_hash"])
def test_a_tampered_file_is_refused_and_removed(tmp_path, path, links):
    # Without a hash in the table: what the hub states of the file has to do.
    with serve({f"{TINY}/{WEIGHTS}": LARGE}, {f"{TINY}/{WEIGHTS}": "", f"{TINY}/config.json": ""}) as hub:
        right = LARGE if path == WEIGHTS else content_of(f"{model_named(TINY).source}/config.json")
        hub.faults.tampered[path] = right[:-1] + b"!"
        program = Program(hub, tmp_path, HF_HUB_DISABLE_SYMLINKS="" if links else "1")
        code, answer = program.preload(TINY)
        assert code == 1 and "not the file that was published" in answer["error"]
        assert not program.file(TINY, path).exists() and not program.part(TINY, path).exists()
        hub.faults.tampered.clear()
        assert program.preload(TINY)[0] == 0 and program.file(TINY, path).read_bytes() == right


def test_what_the_hub_states_is_not_believed_against_the_table(tmp_path):
    with serve({f"{TINY}/{WEIGHTS}": LARGE}, {f"{TINY}/{WEIGHTS}": "0" * 64}) as hub:
        code, answer = Program(hub, tmp_path).preload(TINY)
        assert code == 1 and "another model.bin" in answer["error"]
        assert hub.asked_for(WEIGHTS) == [], "it is not even fetched"


@LINKS
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_download_cut_off_by_the_user_or_by_force_goes_on_from_there(hub, tmp_path, how, links):
    hub.faults.seconds_a_block = 0.05
    program = Program(hub, tmp_path, HF_HUB_DISABLE_SYMLINKS="" if links else "1")
    child = program.start("models", "preload", TINY, "--yes", "--json")
    part = program.part(TINY, WEIGHTS)
    end = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 300_000) and time.monotonic() < end:
        time.sleep(0.02)
    child.send_signal(how)
    child.communicate(timeout=60)
    assert child.returncode == (130 if how is signal.SIGINT else -signal.SIGKILL)
    arrived = part.stat().st_size
    assert 300_000 < arrived < len(LARGE) and part.read_bytes() == LARGE[:arrived]
    hub.faults.seconds_a_block = 0.0
    code, _answer = program.preload(TINY)
    assert code == 0 and program.file(TINY, WEIGHTS).read_bytes() == LARGE
    assert hub.asked_for(WEIGHTS)[-1][1]["range"] == f"bytes={arrived}-"


def test_a_server_that_ends_early_is_asked_for_the_rest_and_left_at_last(hub, tmp_path):
    program = Program(hub, tmp_path)
    hub.faults.cut_after[WEIGHTS], hub.faults.cuts = 1_000_000, 2
    assert program.preload(TINY)[0] == 0 and program.file(TINY, WEIGHTS).read_bytes() == LARGE
    ranges = [headers.get("range") for path, headers in hub.asked_for(WEIGHTS) if "range" in headers]
    assert ranges[-1] == "bytes=2000000-"
    program.file(TINY, WEIGHTS).unlink()
    hub.faults.cut_after[WEIGHTS], hub.faults.cuts = 0, 10**6
    code, answer = program.preload(TINY)
    assert code == 1 and "the connection broke off" in answer["error"]


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "HF_TOKEN"), (403, "HF_TOKEN"), (404, "does not have it any more"), (503, "overloaded or being repaired")],
)
def test_what_a_server_says_by_a_number_is_put_into_words(hub, tmp_path, status, words):
    model = model_named(TINY)
    hub.faults.status[f"/revision/{model.revision}"] = status
    began = time.monotonic()
    code, answer = Program(hub, tmp_path).preload(TINY)
    assert code == 1 and words in answer["error"] and f"HTTP {status}" in answer["error"] and time.monotonic() - began < 20
    assert "Systran/faster-whisper-tiny" in answer["hint"]


def test_no_connection_is_said_at_once(hub, tmp_path):
    program = Program(hub, tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    began = time.monotonic()
    code, answer = program.preload(TINY)
    assert code == 1 and "no connection to 127.0.0.1:9" in answer["error"]
    assert time.monotonic() - began < 15, "of which the program's start takes the most"


def test_a_server_that_never_answers_is_not_waited_for(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "MODELS", hub.rows)
    hub.faults.silent = True
    began = time.monotonic()
    with pytest.raises(HubUnreachable, match="no answer within"):
        run(preload(plan_preload(tmp_path, Settings(), (TINY,))))
    assert time.monotonic() - began < 8


def test_the_token_goes_to_the_hub_alone_and_a_proxy_is_asked(hub, tmp_path):
    port = hub.address.rpartition(":")[2]
    program = Program(
        hub, tmp_path, HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=f"http://127.0.0.1:{port}", http_proxy=f"http://127.0.0.1:{port}",
        HF_TOKEN="hf_secret", NO_PROXY="127.0.0.1", no_proxy="127.0.0.1",
    )  # fmt: skip
    (tmp_path / "settings.json").write_text('{"insightface_use": "research"}')
    assert program.preload(TINY, "inswapper_128")[0] == 0
    asked, stored = hub.asked_for(WEIGHTS)
    assert asked[1]["authorization"] == "Bearer hf_secret" and asked[1]["host"] == "hub.invalid"
    assert "authorization" not in stored[1] and stored[1]["host"] == hub.storage.removeprefix("http://")
    assert "authorization" not in hub.asked_for("inswapper_128.onnx")[0][1]


def test_where_it_does_not_fit_both_numbers_are_said(hub, tmp_path):
    table = json.loads((Program(hub, tmp_path)._table).read_text())
    table[TINY]["files"][0][1] = 10**17
    program = Program(hub, tmp_path)
    program._table.write_text(json.dumps(table))
    code, answer = program.preload(TINY)
    assert code == 1 and "100000000.0 GB to download" in answer["error"] and "GB free for" in answer["error"]
    assert hub.asked == []


def test_two_windows_do_not_write_to_one_file(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "MODELS", hub.rows)
    hub.faults.seconds_a_block = 0.05
    first = preload(plan_preload(tmp_path, Settings(), (TINY,)))
    for event in first:
        if WEIGHTS in event.item:
            break
    with pytest.raises(DownloadBusy, match="Whisper tiny"):
        run(preload(plan_preload(tmp_path / "other", Settings(), (TINY,))))
    first.close()
    hub.faults.seconds_a_block = 0.0
    events, report = run(preload(plan_preload(tmp_path, Settings(), (TINY,))))
    assert report.fetched == (TINY,) and events[-1].done == events[-1].total
    sha256 = hashlib.sha256((tmp_path / "cache").rglob(WEIGHTS).__next__().read_bytes()).hexdigest()
    assert sha256 == hashlib.sha256(LARGE).hexdigest()
