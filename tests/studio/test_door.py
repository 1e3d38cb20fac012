"""Who comes in: hosts, origins, keys and their roles, links, rates, sizes."""

import json
import os
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import httpx2
import pytest
from limits import parse_many
from service_kit import ROOT, run_apart

from studio.guard import Guard
from studio.keys import Keyring

ADDRESSES = [
    ("GET", "/"), ("GET", "/gpu-status"), ("GET", "/avatars"), ("GET", "/jobs"), ("GET", "/docs"), ("GET", "/openapi.json"),
    ("GET", "/keys"), ("GET", "/api/assets"), ("POST", "/api/assets"), ("POST", "/actions/client"), ("POST", "/generate-image"),
    ("POST", "/links"), ("GET", "/files/anna_x/state.json"), ("GET", "/static/service.css"), ("GET", "/events"),
    ("GET", "/no-such"), ("DELETE", "/keys/owner"), ("OPTIONS", "/jobs"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_nobody_comes_in_without_a_key_or_with_another_host(served, method, path):
    good = {"authorization": f"Bearer {served.token}"}
    wrong = [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {served.token}"}, {"cookie": "avatar_pipeline=wrong"}]
    for headers in wrong:
        assert served.http.request(method, path, headers=headers).status_code == 401, headers
    for headers in ({"host": "evil.example"}, {"host": ""}, {"origin": "http://evil.example"}, {"origin": "null"}):
        assert served.http.request(method, path, headers=good | headers).status_code == 403, headers


def test_a_host_that_is_named_twice_or_not_at_all_does_not_come_in(served):
    port = int(served.url.rpartition(":")[2])
    for lines in ("", "Host: evil.example\r\nHost: 127.0.0.1\r\n", "Host: 127.0.0.1:80@evil.example\r\n"):
        with socket.create_connection(("127.0.0.1", port), 10) as caller:
            caller.sendall(f"GET / HTTP/1.1\r\n{lines}Authorization: Bearer {served.token}\r\nConnection: close\r\n\r\n".encode())
            assert int(caller.recv(4096).split()[1]) in (400, 403), lines


def test_the_token_is_private_and_stays_the_same(served):
    token = served.home / "service" / "token"
    assert token.read_text().strip() == served.token
    assert len(served.token) >= 40
    if os.name != "nt":
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
    assert (
        served.token not in (served.home / "service" / "keys.json").read_text() if (token.parent / "keys.json").exists() else True
    )


def test_each_role_may_do_what_it_is_for(served, keys):
    asked = {
        "look": ("GET", "/jobs", None), "work": ("POST", "/actions/captions", {"client": "anna_x", "picture": "x", "text": "y"}),
        "admin": ("POST", "/actions/settings", {"changes": ["language=en"]}),
    }  # fmt: skip
    order = ["gallery", "look", "work", "admin"]
    for needed, (method, path, body) in asked.items():
        for role in order:
            code = served.ask(method, path, json=body, token=keys[role]).status_code
            assert (code == 403) == (order.index(role) < order.index(needed)), (role, path, code)
    for body in ({"verb": "erase", "name": "anna_x"}, {"verb": "export", "name": "anna_x", "to": "/tmp"}):
        assert served.post("/actions/client", body, token=keys["work"]).status_code == 403
    refused = served.post("/actions/import-photos", {"client": "anna_x", "pictures": ["/etc"]}, token=keys["work"])
    assert refused.status_code == 403
    assert "admin" in refused.json()["error"]
    assert served.post("/actions/generate", {"client": "anna_x", "base": "../../x"}, token=keys["work"]).status_code == 403


def test_a_key_ends_on_its_day_and_when_it_is_taken_back(served):
    yesterday = (date.today() - timedelta(days=2)).isoformat()
    over = served.post("/keys", {"name": "over", "role": "look", "until": yesterday}).json()["token"]
    assert served.get("/jobs", token=over).status_code == 401
    made = served.post("/keys", {"name": "short", "role": "look"}).json()
    assert served.get("/jobs", token=made["token"]).status_code == 200
    assert "token" not in json.dumps(served.get("/keys").json())
    assert served.post("/keys", {"name": "short", "role": "look"}).status_code == 409
    assert served.ask("DELETE", "/keys/short").status_code == 200
    assert served.get("/jobs", token=made["token"]).status_code == 401


def test_a_link_opens_the_page_once_and_a_browser_stays_in(served):
    link = served.post("/links").json()["link"]
    with httpx2.Client(base_url=served.url) as browser:
        entered = browser.get(link)
        assert (entered.status_code, entered.headers["refresh"]) == (200, "0;url=/page")
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert browser.get("/jobs").status_code == 200
        assert browser.post("/links").status_code == 403  # no page of ours asked for it
        assert browser.post("/links", headers={"origin": served.url}).status_code == 200
        assert browser.post("/links", headers={"origin": "http://evil.example"}).status_code == 403
    with httpx2.Client(base_url=served.url) as another:
        assert another.get(link).status_code == 403
        assert another.get("/jobs").status_code == 401


def test_a_gallery_key_opens_its_gallery_alone(served, keys):
    with httpx2.Client(base_url=served.url) as browser:
        entered = browser.get(f"/enter?key={keys['gallery']}")
        assert (entered.status_code, entered.headers["refresh"]) == (200, "0;url=/page/gallery/anna_x")
        assert browser.get("/jobs").status_code == 403
    with httpx2.Client(base_url=served.url) as other:  # a key that may do more is never part of an address
        assert other.get(f"/enter?key={keys['work']}").status_code == 403


def test_too_many_requests_are_told_when_to_come_again(tmp_path):
    """The door alone, with rates that no machine is too busy for."""
    rates = {"look": parse_many("5/hour"), "files": parse_many("50/hour"), "work": parse_many("5/hour")}

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def knock():
        keyring = Keyring(tmp_path)
        headers = {"authorization": f"Bearer {keyring.token}"}
        door = httpx2.ASGITransport(Guard(app, keyring, ["127.0.0.1"], rates))
        async with httpx2.AsyncClient(transport=door, base_url="http://127.0.0.1", headers=headers) as http:
            return [await http.get("/jobs") for _number in range(7)] + [await http.get("/files/x") for _number in range(5)]

    answers = run_apart(knock())
    assert [answer.status_code for answer in answers[:7]] == [200] * 5 + [429] * 2
    assert {answer.status_code for answer in answers[7:]} == {200}  # pictures of a page are counted for themselves
    late = answers[6]
    assert int(late.headers["retry-after"]) >= 1
    assert late.json()["code"] == "rate"


def test_twenty_callers_at_once_meet_no_error_but_too_many_requests(served):
    headers = {"authorization": f"Bearer {served.token}"}
    ways = [("GET", "/jobs"), ("GET", "/"), ("GET", "/avatars"), ("POST", "/actions/client")]
    with ThreadPoolExecutor(20) as pool:
        asked = [
            pool.submit(served.http.request, *ways[number % 4], headers=headers, json={"verb": "show"}) for number in range(200)
        ]
    assert {one.result().status_code for one in asked} <= {200, 429}
    assert served.get("/jobs").status_code == 200


def test_a_body_is_bounded_whether_it_says_its_length_or_not(served):
    def pieces():
        for _number in range(40):
            yield b" " * (1 << 20)

    with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), 10) as caller:
        head = (
            f"POST /magic-prompt HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {served.token}\r\nContent-Length: {1 << 40}"
        )
        caller.sendall(f"{head}\r\n\r\n".encode())
        assert caller.recv(4096).split()[1] == b"413"
    headers = {"content-type": "application/json", "authorization": f"Bearer {served.token}"}
    grown = served.http.post("/magic-prompt", content=pieces(), headers=headers)
    while grown.status_code == 429:  # the tests before may have used up the rate; the pieces are sent from the first again
        time.sleep(float(grown.headers["retry-after"]))
        grown = served.http.post("/magic-prompt", content=pieces(), headers=headers)
    assert grown.status_code == 413


def test_another_address_wants_a_certificate(tmp_path):
    argv = [sys.executable, "avatar_pipeline.py", "--home", str(tmp_path), "serve", "--address", "0.0.0.0", "--json"]
    refused = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert "--unencrypted" in json.loads(refused.stdout)["hint"]


def test_a_home_has_one_service_at_a_time(served):
    argv = [sys.executable, "avatar_pipeline.py", "--home", str(served.home), "serve", "--port", "0", "--json"]
    refused = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert refused.returncode == 1
    assert "already" in json.loads(refused.stdout)["error"]


def test_a_port_that_is_taken_is_told(served, tmp_path):
    port = served.url.rpartition(":")[2]
    argv = [sys.executable, "avatar_pipeline.py", "--home", str(tmp_path), "serve", "--port", port, "--json"]
    refused = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert refused.returncode == 1
    assert port in json.loads(refused.stdout)["error"]
