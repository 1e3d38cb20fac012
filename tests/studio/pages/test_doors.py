"""Who may see and write what on the page: over HTTP as any program asks, and by a client's own link in a browser."""

import re
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from portraits.history import read_history

PAGES = ("", "/people", "/doctor", "/training", "/exam", "/blind", "/portraits", "/share")


@pytest.fixture
def browser_like(studio):
    """A client of HTTP with the cookie of a link, as a browser without scripts."""
    with httpx2.Client(base_url=studio.url, headers={"origin": studio.url}, follow_redirects=True, timeout=60) as client:
        client.get(studio.post("/links").json()["link"])
        yield client


def form_of(client, path):
    return re.search(r'name="form-token" content="([0-9a-f]+)"', client.get(path).text)[1]


def test_without_a_key_a_person_is_told_what_to_do(studio):
    with httpx2.Client(base_url=studio.url, timeout=60) as stranger:
        answer = stranger.get("/page/clients/ana")
        assert answer.status_code == 401 and "Open a new link" in answer.text and "<main>" in answer.text
        spent = stranger.get("/enter?once=nothing")
        assert spent.status_code == 403 and "<main>" in spent.text
        for path in ("/thumbnails/ana/output/portrait_0_0000000000000000.png", "/static/page.css", "/page/gallery/ana"):
            assert stranger.get(path).status_code == 401


def test_a_form_works_without_scripts_and_not_without_its_token(browser_like, studio, ana):
    name = "portrait_2_0000000000000002.png"
    address = f"/page/clients/ana/portraits/{name}"
    form = form_of(browser_like, "/page/clients/ana/portraits")
    for wrong in ({}, {"form": ""}, {"form": "0" * 40}):
        assert browser_like.post(address, data={"do": "favourite", **wrong}).status_code == 403
    foreign = browser_like.post(address, data={"do": "favourite", "form": form}, headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert read_history(ana).favourites == ()
    answer = browser_like.post(address, data={"do": "favourite", "form": form})
    assert answer.status_code == 200 and answer.url.path == "/page/clients/ana/portraits"
    assert read_history(ana).favourites == (name,)
    browser_like.post(address, data={"do": "not", "form": form})
    assert read_history(ana).favourites == ()


def test_a_step_is_begun_as_a_job(browser_like, studio):
    form = form_of(browser_like, "/page/clients/ana")
    assert browser_like.post("/page/clients/ana/begin", data={"step": "process", "form": form}).status_code == 200
    job = studio.get("/jobs?client=ana").json()["jobs"][0]
    assert job["action"] == "process"
    assert studio.wait_for(job["id"], "done", "failed")["state"] == "done"
    before = studio.get("/jobs").json()["total"]
    browser_like.post("/page/clients/ana/begin", data={"step": "client", "form": form})  # nothing that the page offers
    assert studio.get("/jobs").json()["total"] == before


def test_nothing_of_a_page_is_run_or_loaded_from_elsewhere(browser_like):
    for end in PAGES:
        answer = browser_like.get(f"/page/clients/ana{end}")
        assert answer.status_code == 200, end
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert not re.search(
            r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?://", answer.text.replace(str(answer.url), "")
        ), end
        assert str(answer.url.path) in answer.text or end == "/blind"


def test_who_may_only_look_is_offered_nothing_else_and_can_do_nothing_else(studio):
    token = studio.post("/keys", {"name": "looks", "role": "look"}).json()["token"]
    shown = studio.get("/page/clients/ana", token=token)
    assert shown.status_code == 200 and '<form method="post"' not in shown.text
    stem = re.search(r'id="pic-(real_[0-9a-f]+)"', shown.text)[1]
    for path, fields in (
        (f"/page/clients/ana/pictures/{stem}", {"do": "out"}),
        ("/page/clients/ana/begin", {"step": "process"}),
        ("/page/clients/ana/quarantine", {"pictures": stem, "do": "out"}),
        ("/page/clients/ana/portraits/portrait_0_0000000000000000.png", {"do": "favourite"}),
        ("/page/clients/ana/training", {"do": "save"}),
        ("/page/clients/ana/share", {"until": "2030-01-01"}),
    ):
        assert studio.ask("POST", path, token=token, data=fields).status_code == 403, path
    assert studio.get("/page/clients/ana/share", token=token).status_code == 403


@pytest.mark.parametrize("name", ["..%2Fstate.json", "%2e%2e%2f%2e%2e%2fsettings.json", ".lock", "nothing.png", "state.json"])
def test_a_thumbnail_is_of_a_picture_of_that_folder_alone(studio, name):
    for kind in ("output", "processed", "metadata", "..", "exam"):
        assert studio.get(f"/thumbnails/ana/{kind}/{name}").status_code in (404, 422)


def test_a_client_chooses_by_a_link_of_their_own_until_a_day(browser, page, studio, ana):
    page.goto("/page/clients/ana/portraits")
    page.get_by_role("link", name="Let the client choose").click()
    page.get_by_label("It holds until").fill((datetime.now(UTC) + timedelta(days=3)).date().isoformat())
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("The link").input_value()
    context = browser.new_context(base_url=studio.url, viewport={"width": 390, "height": 800}, locale="es-ES")
    theirs = context.new_page()
    # as out of a mail: a page of somebody else's leads there
    theirs.set_content(f'<a href="{link}">link</a>')
    theirs.get_by_role("link").click()
    theirs.wait_for_url("**/page/gallery/ana")
    assert "smiling" not in theirs.content()  # prompts are the studio's
    theirs.wait_for_function("() => document.querySelector('.card img').naturalWidth > 0")
    theirs.locator(".card").nth(4).focus()
    theirs.keyboard.press("f")
    theirs.locator(".card.favourite").wait_for()
    assert read_history(ana).favourites == ("portrait_4_0000000000000004.png",)
    for path in (
        "/page",
        "/page/clients/ana",
        "/jobs",
        "/files/ana/output/portrait_0_0000000000000000.png",
        "/page/clients/ana/share",
    ):
        assert theirs.request.get(path).status == 403, path
    assert theirs.request.get("/thumbnails/ana/processed/x.png").status == 403
    theirs.keyboard.press("u")
    theirs.locator(".card.favourite").wait_for(state="detached")
    page.get_by_role("button", name="Take it back").click()
    page.wait_for_load_state()
    assert theirs.request.get("/page/gallery/ana").status == 401
    context.close()
