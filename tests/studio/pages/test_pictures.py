"""A client's pictures in a real browser: each click and each key, and what it changed on disk."""

import re

import pytest
from page_kit import DARK, GOOD

from client_folder.records import Decisions
from dataset.files import list_captions
from dataset.quarantine import quarantined
from utils import read_record


def card_of(page, group, number=0):
    """A card of a group, whose pictures are loaded as it comes into sight."""
    card = page.locator(f"#list-{group} > .card").nth(number)
    card.scroll_into_view_if_needed()
    return card


def accepted_by_hand(client):
    return read_record(client.decisions_file, Decisions).accepted if client.decisions_file.exists() else ()


@pytest.fixture
def pictures(page):
    page.goto("/page/clients/ana")
    return page


def said(page, text):
    page.wait_for_function("text => document.querySelector('#toast').textContent.includes(text)", arg=text)


def test_the_clients_are_listed_with_what_comes_next(page):
    row = page.locator(".clients a")
    assert row.count() == 1 and "ana" in row.inner_text()
    row.click()
    page.wait_for_url("**/page/clients/ana")
    assert page.locator("h1").inner_text() == "ana"
    assert page.locator("#count-accepted").inner_text() == str(GOOD)
    assert page.locator("#count-rejected").inner_text() == str(DARK)
    assert page.locator(".steps li.next").count() <= 1


def test_each_rejected_picture_has_its_reason_under_it(pictures):
    why = card_of(pictures, "rejected").locator(".why")
    assert re.fullmatch(r"too dark: brightness 10, at least \d+", why.inner_text())
    assert "even light" in card_of(pictures, "rejected").locator(".cure").inner_text()


def test_thumbnails_are_made_once_and_only_as_they_come_into_sight(pictures, ana):
    image = card_of(pictures, "accepted").locator("img")
    pictures.wait_for_function("() => document.querySelector('#list-accepted img').naturalWidth > 0")
    assert image.get_attribute("loading") == "lazy"
    made = {file.name: file.stat().st_mtime_ns for file in ana.thumbnails.iterdir()}
    pictures.reload()
    pictures.wait_for_function("() => document.querySelector('#list-accepted img').naturalWidth > 0")
    assert {name: when for name, when in made.items() if (ana.thumbnails / name).stat().st_mtime_ns != when} == {}


def test_accept_refuse_again_and_undo(pictures, ana):
    card = card_of(pictures, "rejected")
    identity = card.get_attribute("id")
    card.get_by_role("button", name="Accept").click()
    said(pictures, "Accepted:")
    moved = pictures.locator(f"#list-accepted > #{identity}")
    moved.wait_for()
    assert "accepted by hand" in moved.inner_text()
    assert pictures.locator("#count-rejected").inner_text() == str(DARK - 1)
    assert len(accepted_by_hand(ana)) == 1 and (ana.processed / f"{identity.removeprefix('pic-')}.png").is_file()
    pictures.keyboard.press("u")
    pictures.locator(f"#list-rejected > #{identity}").wait_for()
    pictures.keyboard.press("Escape")
    assert not pictures.locator("#toast").is_visible()
    assert accepted_by_hand(ana) == () and not (ana.processed / f"{identity.removeprefix('pic-')}.png").is_file()


def test_a_caption_is_changed_under_its_picture(pictures, ana):
    card = card_of(pictures, "accepted", 1)
    stem = card.get_attribute("id").removeprefix("pic-")
    before = next(row.text for row in list_captions(ana) if row.picture == stem)
    text = card.locator("textarea")
    assert text.input_value() == before
    assert not card.locator(".save").is_visible()
    text.fill("ana woman, <i>laughing</i>")
    card.locator(".save").click()
    said(pictures, "Caption written")
    assert next(row.text for row in list_captions(ana) if row.picture == stem) == "ana woman, <i>laughing</i>"
    assert pictures.locator(f"#pic-{stem} textarea").input_value() == "ana woman, <i>laughing</i>"
    pictures.locator("#undo").click()
    pictures.wait_for_function(
        "([id, text]) => document.getElementById(id).querySelector('textarea').value === text", arg=[f"pic-{stem}", before]
    )
    assert next(row.text for row in list_captions(ana) if row.picture == stem) == before


def test_one_key_takes_a_picture_out_of_training_and_puts_it_back(pictures, ana):
    card = card_of(pictures, "accepted", 2)
    stem = card.get_attribute("id").removeprefix("pic-")
    card.focus()
    pictures.keyboard.press("x")
    pictures.locator(f"#list-out > #pic-{stem}").wait_for()
    assert [record.stem for record in quarantined(ana)] == [stem]
    assert not (ana.processed / f"{stem}.png").exists()
    # the focus went on to the next picture, so that the next key is for that
    assert pictures.evaluate("document.activeElement.parentElement.id") == "list-accepted"
    card_of(pictures, "out").focus()
    pictures.keyboard.press("x")
    pictures.locator(f"#list-accepted > #pic-{stem}").wait_for()
    assert quarantined(ana) == () and (ana.processed / f"{stem}.png").is_file()


def test_this_is_the_client_judges_anew_in_a_job_and_can_be_taken_back(pictures, studio, ana):
    card = card_of(pictures, "accepted")
    with pictures.expect_navigation(timeout=90_000):  # once the job is done the page is drawn anew
        card.get_by_role("button", name="This is the client").click()
        said(pictures, "judged anew")
    assert len(read_record(ana.decisions_file, Decisions).pointed) == 1
    job = studio.get("/jobs?client=ana").json()["jobs"][0]
    assert (job["action"], job["state"]) == ("who", "done")
    pictures.goto("/page/clients/ana/people")
    assert pictures.locator(".card.accepted").count() == 1
    pictures.wait_for_function("() => document.querySelector('.card img').naturalWidth > 0")
    studio.finished(studio.post("/actions/who", {"client": "ana", "faces": ["undo"]}))


def test_arrows_go_from_picture_to_picture_and_enter_shows_it_large(pictures):
    pictures.keyboard.press("ArrowRight")
    first = pictures.evaluate("document.activeElement.id")
    pictures.keyboard.press("ArrowRight")
    second = pictures.evaluate("document.activeElement.id")
    assert first != second and first.startswith("pic-")
    pictures.keyboard.press("ArrowDown")
    below = pictures.evaluate("document.activeElement.id")
    tops = pictures.evaluate("ids => ids.map(id => document.getElementById(id).getBoundingClientRect().top)", [second, below])
    assert tops[1] > tops[0]
    pictures.keyboard.press("ArrowUp")
    assert pictures.evaluate("document.activeElement.id") == second
    pictures.keyboard.press("Enter")
    large = pictures.locator("#large")
    assert large.is_visible()
    pictures.wait_for_function("() => document.querySelector('#large img').naturalWidth > 0")
    source = pictures.locator("#large img").get_attribute("src")
    pictures.keyboard.press("ArrowRight")
    assert pictures.locator("#large img").get_attribute("src") != source
    pictures.keyboard.press("Escape")
    assert not large.is_visible()
    assert re.match("pic-", pictures.evaluate("document.activeElement.id"))


def test_keys_are_told_on_the_page(pictures):
    pictures.keyboard.press("?")
    assert "undo the last click" in pictures.locator("#help").inner_text()
