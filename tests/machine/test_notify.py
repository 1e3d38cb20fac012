"""Telling that a job ended: a real HTTP server on loopback is told, and nothing that it does can fail a job."""

import http.server
import json
import threading
import time
from contextlib import contextmanager

import pytest

from config import Settings, change_settings
from machine import notify as telling
from machine.notify import JobEnd, JobNote, notify
from utils import SettingRefused

NOTE = JobNote("train", "ana", JobEnd.DONE, 754.0)


@contextmanager
def server(status=200, seconds=0.0, headers=()):
    """A server that keeps what it is told."""
    told = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            told.append((self.path, self.headers["Content-Type"], body))
            time.sleep(seconds)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/hook/secret", told
        serving.shutdown()


def settings(url):
    return Settings(notify_url=url, notify_desktop=False)


def test_a_webhook_is_told_in_json_with_the_id_and_nothing_else_of_the_client():
    with server() as (url, told):
        notify(settings(url), NOTE)
    ((path, kind, body),) = told
    assert (path, kind) == ("/hook/secret", "application/json")
    assert json.loads(body) == {
        "text": "Avatar Pipeline: train ana: finished after 13 min", "action": "train", "client": "ana", "outcome": "done",
        "seconds": 754,
    }  # fmt: skip


def test_ntfy_is_told_in_plain_words():
    request = telling.request_of("https://ntfy.sh/studio", NOTE)
    assert request.data == b"train ana: finished after 13 min"
    assert request.get_header("Title") == "Avatar Pipeline"


@pytest.mark.parametrize("trouble", [{"status": 500}, {"status": 302, "headers": [("Location", "http://127.0.0.1:9/")]}])
def test_a_server_in_trouble_fails_nothing_and_its_address_stays_out_of_the_log(caplog, trouble):
    with server(**trouble) as (url, told):
        notify(settings(url), NOTE)
    assert len(told) == 1, "and nothing is carried to another address"
    assert "could not be sent" in caplog.text
    assert "secret" not in caplog.text


def test_a_server_that_is_not_there_or_never_answers_costs_no_more_than_its_time(monkeypatch):
    notify(settings("http://127.0.0.1:9/hook"), NOTE)
    monkeypatch.setattr(telling, "_POST_SECONDS", 0.3)
    started = time.monotonic()
    with server(seconds=3.0) as (url, told):
        notify(settings(url), NOTE)
        assert time.monotonic() - started < 2.5
    assert len(told) == 1


def test_without_a_desktop_or_when_it_is_off_nobody_is_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(telling, "_tell_desktop", asked.append)
    monkeypatch.setattr(telling.sys, "platform", "linux")
    for address, wanted in (("", True), ("unix:path=/nowhere", False), ("unix:path=/nowhere", True)):
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        notify(Settings(notify_desktop=wanted), NOTE)
    assert asked == [NOTE]


def test_a_desktop_whose_service_is_gone_fails_nothing(monkeypatch, caplog):
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    started = time.monotonic()
    notify(Settings(), NOTE)
    assert time.monotonic() - started < 9
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("url", ["http://example.org/hook", "ftp://example.org", "https://", "example.org"])
def test_what_would_go_over_an_open_line_is_no_setting(tmp_path, url):
    with pytest.raises(SettingRefused):
        change_settings(tmp_path, [f"notify_url={url}"])
    assert change_settings(tmp_path, ["notify_url=https://ntfy.sh/a"]).notify_url == "https://ntfy.sh/a"
