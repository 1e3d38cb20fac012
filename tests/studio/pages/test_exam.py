"""What was examined, in a real browser: the verdict, the blind test by keys, the dataset doctor's findings."""

from dataset.quarantine import quarantined
from exam.blind import BlindRecord
from utils import read_record


def test_the_verdict_is_told_with_every_checkpoint(page):
    page.goto("/page/clients/ana/exam")
    assert page.locator("h2").first.inner_text() == ("Step 10 at weight 1 looks most like the client, of 2 checkpoints examined.")
    rows = page.locator("tbody tr")
    assert rows.count() == 2
    assert "chosen" in rows.first.inner_text() and "50%" in rows.first.inner_text()


def test_the_blind_test_is_answered_by_keys_and_never_tells_who_painted(page, ana):
    page.goto("/page/clients/ana/blind")
    with page.expect_navigation():
        page.get_by_role("button", name="Begin").click()
    answers = []
    for key, word in (("ArrowLeft", "left"), ("ArrowRight", "right"), ("s", "same")):
        page.wait_for_function("() => [...document.querySelectorAll('.blind img')].every(one => one.naturalWidth > 0)")
        assert "portrait_" not in page.content()
        number = len(answers) + 1
        assert f"Pair {number} of" in page.locator("main").inner_text()
        with page.expect_navigation():
            page.keyboard.press(key)
        answers.append(word)
        assert [one.answer for one in read_record(ana.blind_record, BlindRecord).answers] == answers
    pairs = int(page.locator("main").inner_text().split(" of ")[1].split(".")[0])
    for _left in range(pairs - len(answers)):
        with page.expect_navigation():
            page.get_by_role("button", name="the left one").click()
    assert "agreed with the exam in" in page.locator("main").inner_text()
    assert f"{pairs} pairs were answered" in page.locator("main").inner_text()


def test_an_answer_that_is_sent_twice_counts_once(page, ana):
    page.goto("/page/clients/ana/blind")
    with page.expect_navigation():
        page.get_by_role("button", name="Begin again").click()
    facts = page.evaluate("[...new FormData(document.querySelector('form[data-whole]'))]")
    fields = dict(facts) | {"do": "left"}
    for _time in range(2):
        answer = page.evaluate(
            "fields => fetch(location.href, {method: 'POST', body: new URLSearchParams(fields)}).then(one => one.status)", fields
        )
        assert answer == 200
    assert len(read_record(ana.blind_record, BlindRecord).answers) == 1


def test_the_doctor_shows_the_pictures_of_a_finding_and_takes_one_out(page, ana):
    page.goto("/page/clients/ana/doctor")
    finding = page.locator(".finding", has=page.locator(".card"))
    card = finding.first.locator(".card").first
    identity = card.get_attribute("id")
    stem = identity.split("-", 2)[2]
    card.focus()
    page.keyboard.press("x")
    page.wait_for_function("() => document.querySelector('#toast').textContent.includes('Out of training')")
    assert [record.stem for record in quarantined(ana)] == [stem]
    page.wait_for_function("stem => !document.querySelector(`.finding .card.accepted[id$='${stem}']`)", arg=stem)
    page.keyboard.press("u")
    page.wait_for_function("() => document.querySelector('#toast').textContent.includes('Back in training')")
    assert quarantined(ana) == ()
    page.locator(f".finding .card.accepted[id$='{stem}']").first.wait_for()
