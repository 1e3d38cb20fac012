"""A stand-in for the hub and for GitHub's releases: a real HTTP server on loopback with small files under the real names.

It answers what the hub's library asks: what a repository holds at a commit, and its files, those of LFS by a redirect to another
server, as the real one sends to its storage. `python standin_hub.py TABLE WORDS ...` is the program itself, with the sizes and
hashes of its table of models replaced by those of the small files.
"""

import hashlib
import json
import re
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from machine import models
from machine.models import Model, ModelFile, Origin

BLOCK = 1 << 16
LFS_FROM = 4096  # bytes: what is larger the stand-in states a SHA-256 of, and keeps in its storage


@dataclass
class Faults:
    """What goes wrong, by the end of a file's path."""

    status: dict[str, int] = field(default_factory=dict)
    tampered: dict[str, bytes] = field(default_factory=dict)  # sent in place of the file, whose hash is stated
    cut_after: dict[str, int] = field(default_factory=dict)  # bytes of an answer, after which the server closes
    cuts: int = 10**6  # how often it does
    seconds_a_block: float = 0.0
    silent: bool = False  # it takes the question and never answers


@dataclass
class Hub:
    """The servers and what they hold; `asked` has every request as it came."""

    address: str
    storage: str
    rows: tuple[Model, ...]
    contents: dict[str, bytes]  # by repository, commit and path, or by the name of a release's file
    faults: Faults
    asked: list[tuple[str, str, dict[str, str]]]

    def asked_for(self, ending: str) -> list[tuple[str, dict[str, str]]]:
        """Path and headers of the requests for files of that ending."""
        return [(path, headers) for method, path, headers in self.asked if path.endswith(ending) and method == "GET"]

    def environment(self, cache: Path) -> dict[str, str]:
        """What makes a program ask this hub, and keep what comes in a cache of its own."""
        return {"HF_ENDPOINT": self.address, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}

    def write_table(self, file: Path) -> Path:
        """The table of models for the small files."""
        table = {
            row.name: {
                "source": row.source, "files": [[one.path, one.bytes, one.sha256, one.member_of] for one in row.files],
                "archives": [[one.path, one.bytes, one.sha256, one.member_of] for one in row.archives],
            }
            for row in self.rows
        }  # fmt: skip
        file.write_text(json.dumps(table))
        return file


@contextmanager
def serve(files: dict[str, bytes], tables: dict[str, str] | None = None):
    """A hub that holds `files`, by row and path, such as "sdxl-base/unet/config.json"; other files of a row are random.

    `tables` replaces the hash that the table of models has of a file.
    """
    faults, asked, contents = Faults(), [], {}
    storage = _server(contents, faults, asked, None)
    front = _server(contents, faults, asked, storage)
    rows = tuple(_small(row, files, tables or {}, front, contents) for row in models.MODELS)
    yield Hub(_address(front), _address(storage), rows, contents, faults, asked)
    for server in (front, storage):
        server.shutdown()
        server.server_close()


def content_of(name: str, size: int = 1000) -> bytes:
    """Bytes that are always the same for a name."""
    block = hashlib.sha256(name.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def _small(row: Model, files: dict[str, bytes], tables: dict[str, str], front, contents) -> Model:
    """A row of the table with the sizes and hashes of the small files, which the servers now hold."""
    if row.origin is Origin.HERE:
        return row

    def small(file: ModelFile, place: str) -> ModelFile:
        # Two rows may be of one repository: a file is the same in both.
        data = contents.setdefault(place, files.get(f"{row.name}/{file.path}") or content_of(f"{row.source}/{file.path}"))
        sha256 = hashlib.sha256(data).hexdigest() if file.sha256 else ""
        return replace(file, bytes=len(data), sha256=tables.get(f"{row.name}/{file.path}", sha256))

    if row.origin is Origin.RELEASE:
        source = f"{_address(front)}/releases/"
        members = tuple(
            replace(one, sha256=hashlib.sha256(files[f"{row.name}/{one.path}"]).hexdigest())
            if one.member_of and f"{row.name}/{one.path}" in files
            else one
            for one in row.files
        )
        alone = tuple(one if one.member_of else small(one, f"/releases/{one.path}") for one in members)
        return replace(row, source=source, files=alone, archives=tuple(small(one, f"/releases/{one.path}") for one in row.archives))
    return replace(row, files=tuple(small(one, f"/{row.source}/resolve/{row.revision}/{one.path}") for one in row.files))


def _address(server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def _server(contents, faults, asked, storage):
    kind = type("Bound", (Handler,), {"contents": contents, "faults": faults, "asked": asked, "storage": storage})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    server.handle_error = lambda *_error: None  # who asks may be gone
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Handler(BaseHTTPRequestHandler):
    """One request; what it knows is bound to its class."""

    protocol_version = "HTTP/1.1"
    contents: dict[str, bytes]
    faults: Faults
    asked: list
    storage = None

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)  # of a whole address too, as a proxy is asked
        self.asked.append((self.command, path, {name.lower(): value for name, value in self.headers.items()}))
        if self.faults.silent:
            time.sleep(60)
        status = next((status for ending, status in self.faults.status.items() if path.endswith(ending)), 0)
        found = re.fullmatch(r"/api/models/(.+)/revision/([0-9a-f]{40})", path)
        if status or (not found and path not in self.contents):
            self._send(status or 404, b"no")
        elif found:
            self._tell(found[1], found[2])
        elif self.storage is not None and len(self.contents[path]) >= LFS_FROM and "/resolve/" in path:
            self._send(302, b"", Location=f"{_address(self.storage)}{path}")
        else:
            self._file(path)

    def _tell(self, repository, commit):
        start = f"/{repository}/resolve/{commit}/"
        siblings = [_sibling(path.removeprefix(start), data) for path, data in self.contents.items() if path.startswith(start)]
        self._send(200 if siblings else 404, json.dumps({"id": repository, "sha": commit, "siblings": siblings}).encode())

    def _file(self, path):
        data = next((other for ending, other in self.faults.tampered.items() if path.endswith(ending)), self.contents[path])
        begun = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(begun[1]) if begun else 0
        self.send_response(206 if begun else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if begun:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        cut = next((size for ending, size in self.faults.cut_after.items() if path.endswith(ending)), None)
        end = len(data)
        if cut is not None and self.faults.cuts:
            self.faults.cuts -= 1
            self.close_connection = True
            end = min(end, start + cut)
        for at in range(start, end, BLOCK):
            self.wfile.write(data[at : min(end, at + BLOCK)])
            self.wfile.flush()
            time.sleep(self.faults.seconds_a_block)

    def _send(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words):
        pass


def _sibling(path, data):
    told = {"rfilename": path, "size": len(data), "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
    if len(data) >= LFS_FROM:
        told["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return told


def replaced(rows: tuple[Model, ...], table: dict) -> tuple[Model, ...]:
    """The rows with what a written table says of them."""

    def files(told):
        return tuple(ModelFile(*one) for one in told)

    return tuple(
        replace(row, source=told["source"], files=files(told["files"]), archives=files(told["archives"]))
        if (told := table.get(row.name)) and row.origin is not Origin.HERE
        else row
        for row in rows
    )


if __name__ == "__main__":
    models.MODELS = replaced(models.MODELS, json.loads(Path(sys.argv[1]).read_text()))
    from avatar_pipeline import main

    sys.exit(main(sys.argv[2:]))
