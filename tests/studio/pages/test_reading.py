"""Who reads the page how: screen readers (axe), narrow screens, dark and light, Spanish, and 500 pictures that scroll."""

import io
import shutil

import pytest
from browser_kit import entered
from PIL import Image

from client_folder.client import create_client
from client_folder.records import Picture, Pictures, Source
from utils import write_record

Axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed").Axe

HERS = ("", "/people", "/doctor", "/training", "/exam", "/blind", "/portraits", "/share")  # pages of a client
PAGES = ("/page", "/page/jobs", "/page/gallery/ana", *(f"/page/clients/ana{end}" for end in HERS))
MANY = 500


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing(browser, studio, colours):
    page = entered(browser, studio, color_scheme=colours, locale="en-GB")
    found = {}
    for path in PAGES:
        page.goto(path)
        wrong = Axe().run(page).response["violations"]
        found |= {(path, one["id"]): [node["html"][:160] for node in one["nodes"][:3]] for one in wrong}
    page.context.close()
    assert found == {}


def test_nothing_is_wider_than_a_narrow_screen(browser, studio):
    page = entered(browser, studio, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    wide = {}
    for path in PAGES:
        page.goto(path)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide[path] = width
    page.context.close()
    assert wide == {}


def test_colours_are_the_systems_until_somebody_chooses(browser, studio):
    page = entered(browser, studio, color_scheme="dark", locale="en-GB")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.locator("#theme").click()
    light = page.evaluate(background)
    assert page.locator("#theme").inner_text() == "Colours: light" and light != dark
    page.goto("/page/jobs")
    assert page.evaluate(background) == light
    page.locator("#theme").click()
    assert page.evaluate(background) == dark
    page.context.close()
    assert page.wrong == []


def test_the_page_speaks_the_language_of_the_browser(browser, studio):
    page = entered(browser, studio, locale="es-MX")
    page.goto("/page/clients/ana")
    assert page.locator("html").get_attribute("lang") == "es"
    assert page.locator("#title-rejected").inner_text().startswith("Rechazadas")
    assert "brillo" in page.locator("#list-rejected .why").first.inner_text()  # also what the program says
    page.context.close()
    french = entered(browser, studio, locale="fr-FR")  # a language we do not speak: the program's
    assert french.locator("html").get_attribute("lang") == "en"
    french.context.close()


def lay_many(home):
    """A client with 500 originals that nobody looked at yet."""
    client = create_client(home, "many")
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((640, 640)).convert("RGB").save(picture, "JPEG")
    pictures = []
    for number in range(MANY):
        name = f"photo{number:03}.jpg"
        (client.raw_real / name).write_bytes(picture.getvalue())
        pictures.append(
            Picture(file=name, original=name, source=Source.REAL, sha256=f"{number:012x}{0:052x}", width=640, height=640)
        )
    write_record(client.images_file, Pictures(images=tuple(pictures)))
    return client


@pytest.fixture
def many(studio):
    client = lay_many(studio.home)
    yield client
    shutil.rmtree(client.root, ignore_errors=True)  # a picture may just be made smaller


@pytest.mark.usefixtures("many")
def test_five_hundred_pictures_scroll(browser, studio):
    page = entered(browser, studio, viewport={"width": 1280, "height": 900})
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/thumbnails/" in request.url else None)
    page.goto("/page/clients/many")
    assert page.locator("#list-new > .card").count() == MANY
    page.wait_for_function("() => document.querySelector('#list-new img').naturalWidth > 0")
    assert 0 < len(asked) < MANY / 2  # the others are asked for as they come into sight
    frames = page.evaluate("""() => new Promise(done => {
        const times = [], step = now => {
            times.push(now);
            window.scrollBy(0, 60);
            times.length < 120 ? requestAnimationFrame(step) : done(times.slice(1).map((one, at) => one - times[at]));
        };
        requestAnimationFrame(step);
    })""")
    page.context.close()
    # half of the frames in time even on a busy machine: layout does not grow with what is out of sight
    assert sorted(frames)[len(frames) // 2] < 50
