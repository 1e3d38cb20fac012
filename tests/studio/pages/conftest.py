"""A studio, its service and a browser, shared by the tests of the page."""

import pytest
from browser_kit import entered, start_browser
from page_kit import lay_studio
from service_kit import Served

from client_folder.client import open_client


@pytest.fixture(scope="session")
def studio(tmp_path_factory):
    home = tmp_path_factory.mktemp("studio")
    lay_studio(home)
    service = Served(home)
    yield service
    service.close()


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        chromium = start_browser(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def ana(studio):
    """The client, as the disk has it."""
    return open_client(studio.home, "ana")


@pytest.fixture
def page(browser, studio):
    """A page that came in by a link; whatever a script complains of fails the test."""
    opened = entered(browser, studio, viewport={"width": 1280, "height": 900}, locale="en-GB")
    yield opened
    opened.context.close()
    assert opened.wrong == []
