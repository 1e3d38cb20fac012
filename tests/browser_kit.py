"""A real headless Chromium for tests of the page; where there is none, they are skipped with the reason."""

import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Chromium's sandbox needs rights that a container's root has not; a background network is of no use to a test.
WORDS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")


def start_browser(playwright):
    """The browser that this machine has."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    return playwright.chromium.launch(executable_path=found, args=list(WORDS))


def entered(browser, served, **how):
    """A page of a browser that came in by a link; it fails the test on any error that it met."""
    context = browser.new_context(base_url=served.url, **how)
    page = context.new_page()
    page.set_default_timeout(60_000)  # a first call may load libraries, on a busy machine
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda said: page.wrong.append(said.text) if said.type == "error" else None)
    page.goto(served.post("/links").json()["link"])
    page.wait_for_url("**/page")
    return page
