"""Every action as an address: typed by its own request, answered at once or by a job, refused in its own words."""

import json
from pathlib import Path

import pytest

from actions.table import ROWS, action_named

WRONG = [
    ({"client": "anna_x", "prompt": ["x" * 5000]}, "/actions/generate"),
    ({"client": "anna_x", "pictures": ["a\x00b"]}, "/actions/accept"),
    ({"client": "anna_x", "pictures": ["x"] * 3000}, "/actions/quarantine"),
    ({"client": "anna_x", "text": "\ud800"}, "/actions/captions"),
    ({"client": "anna_x", "no_such": 1}, "/actions/process"),
    ({"client": "../anna_x"}, "/actions/process"),
    ({}, "/actions/process"),
    ([], "/actions/process"),
]  # fmt: skip


def test_every_action_has_an_address_with_its_own_schema(served):
    schema = served.get("/openapi.json").json()
    named = {row.name for row in ROWS}
    assert {path.removeprefix("/actions/") for path in schema["paths"] if path.startswith("/actions/")} == named - {"serve"}
    for row in ROWS:
        if row.name == "serve":
            continue
        body = schema["paths"][f"/actions/{row.name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        model = schema["components"]["schemas"][body["$ref"].rpartition("/")[2]]
        assert set(model.get("properties", {})) == set(action_named(row.name).request.model_fields), row.name


def test_a_short_action_answers_at_once_as_the_command_line_does(served):
    answer = served.post("/actions/client", {"verb": "show", "name": "anna_x"})
    assert answer.status_code == 200
    assert answer.json()["client"] == "anna_x"
    assert answer.json()["folder"] == "clients/anna_x"


@pytest.mark.parametrize(("body", "path"), WRONG)
def test_what_cannot_be_is_refused_in_words(served, body, path):
    answer = served.ask("POST", path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in (404, 422), answer.text
    assert answer.json()["status"] == "error"
    assert answer.json()["error"] == answer.json()["message"] != ""


def test_what_cannot_be_now_is_told_before_a_job_is_made(served):
    before = served.get("/jobs").json()["total"]
    for action in ("train", "dataset", "generate"):
        answer = served.post(f"/actions/{action}", {"client": "anna_x"})
        assert answer.status_code == 409
        assert answer.json()["hint"]
    assert served.post("/actions/process", {"client": "nobody"}).status_code == 404
    assert served.get("/jobs").json()["total"] == before


def test_a_long_action_is_a_job_with_its_events_and_its_answer(served, picture):
    taken = served.ask("POST", "/api/assets?name=photo.png", content=picture).json()
    job = served.finished(served.post("/actions/import-photos", {"client": "anna_x", "pictures": [taken["asset"]]}))
    assert job["state"] == "done"
    assert job["answer"]["added"] == ["raw_real/photo.png"]
    with served.http.stream("GET", f"/jobs/{job['id']}/events", headers={"authorization": f"Bearer {served.token}"}) as stream:
        told = "".join(stream.iter_text())
    assert "event: Progress" in told
    assert '"stage": "import-photos"' in told
    assert told.count("event: end") == 1
    first = told.split("id: ")[1].split()[0]
    headers = {"authorization": f"Bearer {served.token}", "last-event-id": first}
    rest = served.http.get(f"/jobs/{job['id']}/events", headers=headers).text
    assert told.count("event:") - rest.count("event:") == told.split(f"id: {first}")[0].count("event:")


def test_a_plan_is_told_and_nothing_is_done(served, picture):
    taken = served.ask("POST", "/api/assets?name=other.png", content=picture + b"more").json()
    before = served.get("/jobs").json()["total"]
    plan = served.post("/actions/import-photos?plan=true", {"client": "anna_x", "pictures": [taken["asset"]]})
    assert plan.json() == {"pictures": 1, "bytes": len(picture) + 4, "raw": 0}
    assert served.get("/jobs").json()["total"] == before


def test_what_cannot_be_undone_wants_a_yes(served):
    assert served.post("/actions/client", {"verb": "create", "name": "gone_x"}).status_code == 200
    asked = served.post("/actions/client", {"verb": "erase", "name": "gone_x"})
    assert asked.status_code == 409
    assert "yes=true" in asked.json()["hint"]
    done = served.finished(served.post("/actions/client?yes=true", {"verb": "erase", "name": "gone_x"}))
    assert done["state"] == "done"
    assert not (served.home / "clients" / "gone_x").exists()


def test_no_answer_tells_where_anything_lies_on_this_machine(served):
    words = [str(served.home), str(Path.home()), str(Path(__file__).resolve().parents[2])]
    texts = [
        served.post("/actions/client", {"verb": "list"}).text, served.post("/actions/models").text,
        served.post("/actions/settings").text, served.post("/actions/doctor", {"client": "anna_x"}).text,
        json.dumps(served.finished(served.post("/actions/client", {"verb": "export", "name": "anna_x"}))),
        served.post("/actions/import-photos", {"client": "anna_x", "pictures": ["/no/such/place"]}).text,
        served.post("/actions/client", {"verb": "import", "name": "/no/such/file.zip"}).text,
        served.get("/jobs").text, served.get("/gpu-status").text, served.get("/openapi.json").text,
    ]  # fmt: skip
    for text in texts:
        assert not [word for word in words if word in text], text[:300]


def test_files_of_a_client_and_nothing_else(served, picture):
    original = served.home / "clients" / "anna_x" / "output" / "shown.png"
    original.parent.mkdir(exist_ok=True)
    original.write_bytes(picture)
    got = served.get(f"/files/anna_x/output/{original.name}")
    assert got.content == original.read_bytes()
    assert got.headers["content-type"] == "image/png"
    for path in (
        "anna_x/state.json", "anna_x/../../settings.json", "anna_x/%2e%2e/%2e%2e/service/token", "anna_x/.lock",
        "anna_x//etc/passwd", "anna_x/raw_real", "..%2f..%2fx/y.png", "nobody/x.png", "anna_x/a%00.png",
    ):  # fmt: skip
        answer = served.get(f"/files/{path}")
        assert answer.status_code in (404, 422), path
        assert served.token not in answer.text
