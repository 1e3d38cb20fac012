"""The gallery in a real browser: favourites, two compared, prompt and seed copied, one seed over the checkpoints."""

import pytest
from page_kit import PORTRAITS, PROMPT

from portraits.history import read_history


@pytest.fixture
def gallery(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/page/clients/ana/portraits")
    return page


def test_a_favourite_is_marked_by_a_key_and_taken_back(gallery, ana):
    cards = gallery.locator("#run-1 > .card")
    assert cards.count() == PORTRAITS
    cards.nth(1).focus()
    gallery.keyboard.press("f")
    gallery.locator("#run-1 > .card.favourite").wait_for()
    assert read_history(ana).favourites == ("portrait_1_0000000000000001.png",)
    assert gallery.locator("#favourites").inner_text() == "1 favourite"
    assert gallery.evaluate("document.activeElement.id") == "shot-portrait_1_0000000000000001"  # it stays where it was
    gallery.keyboard.press("o")
    assert gallery.locator("#run-1 > .card:visible").count() == 1
    gallery.keyboard.press("o")
    gallery.keyboard.press("u")
    gallery.locator("#run-1 > .card.favourite").wait_for(state="detached")
    assert read_history(ana).favourites == ()


def test_a_click_marks_and_a_second_one_takes_it_back(gallery, ana):
    button = gallery.locator("#run-1 > .card").first.get_by_role("button", name="Favourite")
    button.click()
    gallery.locator("#run-1 > .card.favourite").wait_for()
    assert button.get_attribute("aria-pressed") == "true"
    assert len(read_history(ana).favourites) == 1
    button.click()
    gallery.locator("#run-1 > .card.favourite").wait_for(state="detached")
    assert read_history(ana).favourites == ()


def test_two_are_compared_beside_the_real_photo(gallery):
    for number in (0, 2):
        gallery.locator("#run-1 > .card").nth(number).focus()
        gallery.keyboard.press("v")
    dialog = gallery.locator("#compare")
    assert dialog.is_visible()
    shown = [image.get_attribute("src") for image in dialog.locator("img").all()]
    assert shown[0].endswith("portrait_0_0000000000000000.png") and shown[1].endswith("portrait_2_0000000000000002.png")
    assert "/processed/real_" in shown[2]
    gallery.wait_for_function("() => [...document.querySelectorAll('#compare img')].every(one => one.naturalWidth > 0)")
    gallery.keyboard.press("Escape")
    gallery.wait_for_function("() => !document.querySelector('[data-compare][aria-pressed=true]')")


def test_prompt_and_seed_are_copied_by_a_click(gallery):
    card = gallery.locator("#run-1 > .card").nth(3)
    assert card.locator(".prompt").inner_text() == PROMPT  # shown letter for letter
    card.get_by_role("button", name="Copy prompt").click()
    assert gallery.evaluate("navigator.clipboard.readText()") == PROMPT
    card.get_by_role("button", name="Seed 3").click()
    gallery.wait_for_function("() => navigator.clipboard.readText().then(text => text === '3')")


def test_the_same_seed_stands_side_by_side_over_the_checkpoints(gallery):
    rows = gallery.locator(".strip")
    first = [one.inner_text() for one in rows.first.locator(".name").all()]
    assert first == ["step 10", "step 20", "real photo"]
    exam = [one.inner_text() for one in rows.nth(1).locator(".name").all()]
    assert exam == ["the base alone", "step 10, weight 1", "step 20, weight 1", "real photo"]
