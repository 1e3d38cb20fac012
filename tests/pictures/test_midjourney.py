"""Names and texts of MidJourney pictures: the tables, the cut at every place, hostile input, and the speed."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from pictures import midjourney
from pictures.midjourney_parameters import PARAMETERS

HERE = Path(__file__).parents[1]
OWN = HERE / "data" / "midjourney_names.jsonl"
SHARED = (
    HERE.parent.parent / "shared" / "midjourney_cases.jsonl"
)  # names that real people gave, beside the checkout where it was made
JOB = "5c0ffee0-1a2b-4c3d-8e4f-0123456789ab"
OTHER_JOB = "7ea5e77e-2b3c-4d5e-9f60-ba9876543210"
USER = "u7000000001"
SPARE = {"invalid": [], "unknown": [], "action": None, "uuid_conflict": None}  # a case names these only where they matter


def cases(path: Path) -> list[Any]:
    if not path.exists():
        return []
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [pytest.param(row, id=row["id"]) for row in rows]


def named(body: str, tail: str = "_0.png") -> midjourney.MidJourneyRecord:
    return midjourney.parse(f"{USER}_{body}_{JOB}{tail}")


@pytest.mark.parametrize("case", cases(OWN) + cases(SHARED))
def test_the_record_is_the_one_in_the_table(case: dict[str, Any]) -> None:
    record = midjourney.parse(case["filename"], case["embedded_text"], **case.get("context", {}))
    expected = SPARE | case["expected"]
    assert {name: record.to_json()[name] for name in expected} == expected


def test_a_record_survives_json() -> None:
    record = midjourney.parse(f"{USER}_a_cat_--no_hat_--v_7_{JOB}_0.png", "a cat --p --q .5 --foo 3")
    assert midjourney.MidJourneyRecord(**json.loads(json.dumps(record.to_json()))) == record


BODY = "_--chaos_5_--ar_169_--raw_--stylize_250_--v_7.0"
WHOLE = {"chaos": 5, "ar": "16:9", "style": "raw", "stylize": 250, "v": "7"}


@pytest.mark.parametrize("kept", range(1, len(BODY) + 1))
def test_a_cut_at_any_place_stores_no_half_value(kept: int) -> None:
    body = BODY[:kept]
    record = midjourney.parse(f"{USER}_{'m' * (60 - len(USER) - kept)}{body}_{JOB}_0.png")
    assert record.truncated
    assert record.params.items() <= WHOLE.items()
    assert not record.invalid and not record.unknown
    begun = sum(1 for part in body.split("_--")[1:] if part)
    assert len(record.params) + len(record.uncertain) == begun


@pytest.mark.parametrize(("tail", "limit"), [("_0.png", 61), (".png", 63), ("-1.png", 63), ("_0_1762.png", 61)])
def test_the_cut_is_known_by_the_length_of_the_head(tail: str, limit: int) -> None:
    for length, cut in ((limit - 1, False), (limit, True), (limit + 5, True)):
        head = f"{USER}_".ljust(length - 4, "m") + "_--v"
        assert midjourney.parse(f"{head}_{JOB}{tail}").truncated is cut
        assert midjourney.parse(f"social_{head}_{JOB}{tail}").truncated is cut


@pytest.mark.parametrize("kept", range(4, 25))
def test_a_link_counts_only_with_its_whole_code(kept: int) -> None:
    link = "httpss.mj.runDK_0-it0QRw"
    front = f"_{link}_{link[:kept]}"
    record = midjourney.parse(f"u{'7' * (60 - len(front))}{front}_{JOB}_0.png")
    assert record.image_urls == ["https://s.mj.run/DK_0-it0QRw"] * (1 + (kept == len(link)))
    assert record.prompt == ""


# What docs.midjourney.com states, parameter by parameter; versions and videos are open lists here, for new ones come.
RANGES = {
    "stylize": ("s stylize", 0, 1000), "chaos": ("c chaos variety", 0, 100), "weird": ("w weird", 0, 3000), "iw": ("iw", 0, 3),
    "ow": ("ow", 1, 1000), "cw": ("cw", 0, 100), "sw": ("sw", 0, 1000), "sv": ("sv", 1, 6), "seed": ("seed", 0, 4294967295),
    "stop": ("stop", 10, 100), "repeat": ("r repeat", 2, 40), "exp": ("exp", 0, 100), "v": ("v version", 1, 99),
    "niji": ("niji", 4, 99), "video": ("video", 1, 99),
}  # fmt: skip


@pytest.mark.parametrize("row", RANGES)
def test_both_ends_of_a_range_are_in_it(row: str) -> None:
    names, low, high = RANGES[row]
    for name in names.split():
        for value, inside in ((low, True), (high, True), (high + 1, False), (low - 1, False)):
            record = midjourney.parse("x.png", f"p --{name} {value}")
            assert (row in record.params) is inside, (name, value)
            assert record.invalid == ([] if inside else [row])


def test_every_parameter_with_a_range_stands_in_the_table_above() -> None:
    assert {row.name for row in PARAMETERS if row.high} == set(RANGES)
    assert {name for row in PARAMETERS if row.high for name in row.names} == {
        name for names, _low, _high in RANGES.values() for name in names.split()
    }


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("--q .25", "quality", 0.25), ("--q .5", "quality", 0.5), ("--quality 1", "quality", 1), ("--q 2", "quality", 2),
        ("--q 4", "quality", 4), ("--q 3", "quality", None), ("--style raw", "style", "raw"), ("--raw", "style", "raw"),
        ("--bs 1", "bs", 1), ("--bs 4", "bs", 4), ("--bs 3", "bs", None), ("--motion low", "motion", "low"),
        ("--motion wild", "motion", None), ("--iw 1.5", "iw", 1.5), ("--s 1.5", "stylize", None), ("--chaos 1.5", "chaos", None),
        ("--ar 16:9", "ar", "16:9"), ("--ar 16x9", "ar", None), ("--ar 0:9", "ar", None), ("--v 6.1", "v", "6.1"),
        ("--relax", "speed", "relax"), ("--tile", "tile", True), ("--niji", "niji", True), ("--niji 6", "niji", "6"),
    ],
)  # fmt: skip
def test_a_value_is_read_as_midjourney_takes_it(words: str, name: str, value: object) -> None:
    record = midjourney.parse("x.png", f"p {words}")
    assert record.params.get(name) == value
    assert record.invalid == ([name] if value is None else [])


def test_a_missing_parameter_is_unknown() -> None:
    record = named("a_cat")
    assert record.params == {} and record.sources == {
        "prompt": "filename", "username": "filename", "uuid": "filename", "variation_index": "filename"
    }  # fmt: skip


def test_repeats_and_aliases_are_reported() -> None:
    record = midjourney.parse("x.png", "p --chaos 5 --variety 10 --no a --no b")
    assert record.params == {"chaos": 10, "no": ["a", "b"]}
    assert record.repeated == ["chaos", "no"] and record.aliases == ["variety"]


def test_what_is_not_stored_is_kept_to_be_shown() -> None:
    record = midjourney.parse("x.png", "p --ow 1500 --glow very much")
    assert record.unread == {"ow": "1500", "glow": "very much"}


def test_sources_are_trusted_in_order_field_by_field() -> None:
    record = midjourney.parse(
        f"{USER}_a_cat_--chaos_3_--v_6_{JOB}_1.png",
        "a cat, b --v 7 --s 5",
        supplied_text="my cat --s 9",
        discord_text=f"**cat --s 1 --weird 4** - Upscaled by <@1> [(x)](<https://midjourney.com/jobs/{JOB}>)",
    )
    assert record.prompt == "my cat" and record.source == "supplied_text"
    assert record.params == {"stylize": 9, "v": "7", "weird": 4, "chaos": 3}
    assert record.sources == {
        "prompt": "supplied_text",
        "params.stylize": "supplied_text",
        "params.v": "embedded_text",
        "params.weird": "discord_text",
        "params.chaos": "filename",
        "uuid": "discord_text",
        "action": "discord_text",
        "variation_index": "filename",
        "username": "filename",
    }


def test_words_alone_leave_the_doubts_of_a_cut_name() -> None:
    cut = f"{USER}_".ljust(61 - 7, "m") + "_--ar_1"
    assert midjourney.parse(f"{cut}_{JOB}_0.png", supplied_text="my cat").uncertain == ["ar"]
    assert midjourney.parse(f"{cut}_{JOB}_0.png", supplied_text="my cat --ar 1:2").uncertain == []
    assert midjourney.parse(f"{cut}_{JOB}_0.png", "a cat").uncertain == []


def test_mojibake_is_repaired_and_good_text_left_alone() -> None:
    assert midjourney.repair_mojibake("niÃ±o â€” aÃ±o") == "niño — año"
    for text in ("niño", "Ã", "北京 🙂", "plain", "\ud800"):
        assert midjourney.repair_mojibake(text) == text


def test_the_common_front_offers_user_names() -> None:
    names = [f"ana_maria_a_cat_{JOB}_0.png", f"ana_maria_a_cat_{JOB}_1.png", f"ana_maria_dogs_{OTHER_JOB}.png"]
    assert midjourney.username_candidates(names) == ("ana", "ana_maria")
    assert midjourney.username_candidates(names[:2]) == ()


PIECES = [
    "--", "—", "–", "-", "_", "__", " ", "\r\n", "\t", "\x00", "/", "\\", "..", "**", "** - ", "::", "::-", "<@1>", "<https://",
    "https://s.mj.run/", "httpss.mj.run", "Job ID:", JOB, JOB.upper(), JOB[:20], "social_", USER, "--ar", "--ar 16:9", "--ar_169",
    "--no", "a, b", "--v", "--s", "9" * 5000, "0", ".", "۳", "²", "ñ", "niÃ±o", "🙂", "\ud800", "\u202e", "Image #", "Image #9",
    "--niji", "(1)", ".png", "[", "(", "*", "+", "?",
]  # fmt: skip


def test_no_input_raises() -> None:
    chance = random.Random(3)
    for _ in range(2000):
        texts = ["".join(chance.choices(PIECES, k=chance.randrange(12))) for _ in range(5)]
        texts.append("".join(chr(chance.randrange(0x11000)) for _ in range(chance.randrange(40))))
        chance.shuffle(texts)
        size = chance.choice([None, (0, 0), (-1, 5), (10, 3)])
        record = midjourney.parse(
            texts[0], texts[1], known_usernames=("[", "a|b"), image_size=size, embedded_author=texts[4][:9], discord_text=texts[5]
        )
        json.dumps(record.to_json())


@pytest.mark.parametrize(
    "piece", ["_", "a_", "--", "_--v", ".png", "::", "** - ", "https", "--ar 1", JOB + "_", "Job ID: ", " - ", "\r\n", "niÃ±o "]
)
@pytest.mark.timeout(60)  # what a pattern that backtracks would need days for
def test_a_very_long_input_is_read_to_its_end(piece: str) -> None:
    long = piece * 20_000
    assert midjourney.parse(long, long, known_usernames=("a_a_a", "b"), discord_text=long).source in (*midjourney.SOURCES, "none")


@pytest.mark.parametrize(
    ("damaged", "meant"),
    [
        ("niÃƒÂ±o", "niño"), ("â€œquotedâ€\x9d", "“quoted”"), ("Ã\x81vila", "Ávila"), ("niÃ±o 北京", "niño 北京"), ("ðŸ˜€", "😀"),
        ("COÛT à façade", "COÛT à façade"), ("É è ç à ñ", "É è ç à ñ"), ("São", "São"),
    ],
)  # fmt: skip
def test_each_misread_character_is_repaired_by_itself(damaged: str, meant: str) -> None:
    assert midjourney.repair_mojibake(damaged) == meant
    assert midjourney.parse("x.png", f"{damaged} --v 7").prompt == meant


@pytest.mark.parametrize(
    ("text", "prompt", "params"),
    [
        ("un hombre —no muy alto— mira —ar 2:3", "un hombre —no muy alto— mira", {"ar": "2:3"}),
        ("un gato —no— duerme", "un gato —no— duerme", {}),
        ("p —no hats —v 7", "p", {"no": ["hats"], "v": "7"}),
        ("p –s 50 – end", "p – end", {"stylize": 50}),
    ],
)
def test_an_aside_between_long_dashes_is_prose(text: str, prompt: str, params: dict[str, Any]) -> None:
    record = midjourney.parse("x.png", text)
    assert (record.prompt, record.params) == (prompt, params)


def test_a_job_id_may_end_a_sentence() -> None:
    record = midjourney.parse("x.png", f"a cat --v 7 Job ID: {JOB}.")
    assert (record.prompt, record.params, record.uuid) == ("a cat", {"v": "7"}, JOB)
