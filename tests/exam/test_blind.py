"""The blind test: which pairs are shown, what answers say of the exam, going on after a kill, and a newer exam."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from blind_kit import PHOTO_COLOUR, PHOTOS, colour_of, examined_client, write_exam
from PIL import Image
from stages import finish

from client_folder.client import Client, create_client
from exam.agreement import Concord, agreement_of, exact_interval
from exam.blind import (
    BlindRecord,
    MoreAnswersThanPairs,
    Nearer,
    NothingToCompare,
    PortraitsGone,
    agreement_with,
    answer_pairs,
    draw_pairs,
    pair_to_judge,
)
from exam.report import ExamFile
from utils import NotReady, read_record, sha256_file

ROOT = Path(__file__).resolve().parents[2]
LEFT, RIGHT, SAME = Nearer.LEFT, Nearer.RIGHT, Nearer.SAME
# Later steps are nearer in every portrait.
DISTANCES = {10: [5.0] * 8, 20: [4.0] * 8, 30: [3.0] * 8}


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return examined_client(tmp_path, DISTANCES)


def report_of(client: Client) -> ExamFile:
    return read_record(client.exam_report, ExamFile)


def record_of(client: Client) -> BlindRecord:
    return read_record(client.blind_record, BlindRecord)


def steps_shown(file: Path) -> tuple[int, int]:
    """Which steps painted the left and the right portrait of a pair, by the colours in the picture that was laid out."""
    with Image.open(file) as opened:
        pixels = opened.convert("RGB")
    row = pixels.height // 3
    reds = [red for red, _run in itertools.groupby(pixels.getpixel((x, row)) for x in range(pixels.width))]
    painted = [colour for colour in reds if colour[0] + colour[1] == 200]
    return painted[0][0], painted[-1][0]


def answer_as_the_exam(client: Client, pairs: int, but: int = 0) -> list[Nearer]:
    """The answers of somebody who sees what the exam sees, but for so many of the first pairs."""
    answers = []
    for number, shown in enumerate(finish(answer_pairs(client, (), pairs)).waiting):
        left, right = steps_shown(shown.picture)
        answers.append(LEFT if (left > right) == (number >= but) else RIGHT)
    return answers


# --- what answers say -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("agreed", "counted", "low", "high"),
    [
        # Clopper and Pearson's bounds at 90 %, from the tables of the beta distribution: its 5 % quantile with (k, n - k + 1),
        # its 95 % quantile with (k + 1, n - k).
        (10, 20, 0.3020, 0.6980), (14, 20, 0.4922, 0.8604), (15, 20, 0.5444, 0.8959), (8, 10, 0.4931, 0.9632),
        # With all or none the bound is the 20th, or 3rd, root of 5 %.
        (20, 20, 0.05 ** (1 / 20), 1.0), (0, 20, 0.0, 1 - 0.05 ** (1 / 20)), (3, 3, 0.05 ** (1 / 3), 1.0),
    ],
)  # fmt: skip
def test_the_interval_is_the_exact_one(agreed: int, counted: int, low: float, high: float) -> None:
    found = exact_interval(agreed, counted)
    assert found == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@pytest.mark.parametrize("counted", [1, 3, 4, 5, 12, 20, 37])
def test_more_than_chance_is_said_just_where_guessing_does_so_well_in_less_than_one_test_of_twenty(counted: int) -> None:
    rows = list(itertools.accumulate(_binomials(counted)))  # how many of the 2**n ways to guess have at most k hits
    for agreed in range(counted + 1):
        as_well = 2**counted - (rows[agreed - 1] if agreed else 0)
        found = agreement_of(agreed, counted)
        assert found is not None
        assert (found.word is Concord.AGREES) == (Fraction(as_well, 2**counted) < Fraction(1, 20)), (agreed, counted)
        assert (found.word is Concord.DISAGREES) == (Fraction(rows[agreed], 2**counted) < Fraction(1, 20)), (agreed, counted)


def _binomials(n: int) -> list[int]:
    row = [1]
    for _line in range(n):
        row = [1, *(a + b for a, b in itertools.pairwise(row)), 1]
    return row


def test_no_difference_is_counted_apart(client: Client) -> None:
    told = answer_as_the_exam(client, 12, but=2)
    told[5] = told[6] = SAME
    agreement = finish(answer_pairs(client, told, 12)).agreement
    assert agreement is not None
    assert (agreement.agreed, agreement.counted, agreement.same, agreement.share) == (8, 10, 2, 0.8)
    assert (agreement.low, agreement.high, agreement.word) == (0.4931, 0.9632, Concord.CHANCE)


def test_who_sees_no_difference_anywhere_says_nothing_of_the_exam(client: Client) -> None:
    report = finish(answer_pairs(client, [SAME] * 4, 4))
    assert report.agreement is None and not report.waiting


@pytest.mark.parametrize(("but", "word", "agreed"), [(0, Concord.AGREES, 20), (20, Concord.DISAGREES, 0), (8, Concord.CHANCE, 12)])
def test_twenty_answers_are_counted_against_what_was_truly_shown(client: Client, but: int, word: Concord, agreed: int) -> None:
    agreement = finish(answer_pairs(client, answer_as_the_exam(client, 20, but))).agreement
    assert agreement is not None and (agreement.word, agreement.agreed, agreement.counted) == (word, agreed, 20)


# --- which pairs ------------------------------------------------------------------------------------------------------
def test_a_pair_is_of_two_checkpoints_with_the_same_prompt_and_seed_beside_a_held_back_photo(client: Client) -> None:
    for shown in finish(answer_pairs(client)).waiting:
        left, right = steps_shown(shown.picture)
        assert left != right and {left, right} <= set(DISTANCES)
        assert shown.left.name.split("_")[2] == shown.right.name.split("_")[2]
        assert shown.photo.name in PHOTOS
        with Image.open(shown.picture) as opened:
            assert opened.getpixel((12, 12)) == PHOTO_COLOUR and not opened.text
        assert colour_of(left, int(shown.left.stem[-1], 16))[1] == 200 - left


def test_couples_portraits_photos_and_sides_come_in_turn(client: Client) -> None:
    report = report_of(client)
    drawn = draw_pairs(report, 5, 18)
    couples = Counter(frozenset((pair.left, pair.right)) for pair in drawn)
    assert set(couples.values()) == {6}
    assert {count for _photo, count in Counter(pair.photo for pair in drawn).items()} == {9}
    assert max(Counter(pair.portrait for pair in drawn).values()) == 3  # eighteen pairs of eight portraits
    assert len({(frozenset((pair.left, pair.right)), pair.portrait) for pair in drawn}) == 18
    sides = [draw_pairs(report, seed, 18) for seed in range(20)]
    nearer_left = sum(pair.left > pair.right for some in sides for pair in some)
    assert 140 <= nearer_left <= 220  # of 360 coins: three standard deviations are 28


def test_nothing_that_is_named_tells_which_checkpoint_it_was(client: Client) -> None:
    report = finish(answer_pairs(client))
    for shown in report.waiting:
        assert not any(str(step) in shown.picture.name.split("_")[0] for step in DISTANCES)
        assert "ana-" not in str(shown.picture) and "portrait" not in str(shown.picture)


def test_what_lies_equally_near_is_not_shown(tmp_path: Path) -> None:
    even = examined_client(tmp_path, {10: [4.0, 4.0, 5.0], 20: [4.0, 4.0, 4.0]})
    assert [shown.left.stem[-1] for shown in finish(answer_pairs(even)).waiting] == ["2"]
    write_exam(even, {10: [4.0], 20: [4.0]})
    with pytest.raises(NothingToCompare):
        finish(answer_pairs(even))


def test_a_single_checkpoint_stands_against_the_base_alone(tmp_path: Path) -> None:
    single = examined_client(tmp_path, {10: [4.0] * 4}, base=[5.0] * 4)
    shown = finish(answer_pairs(single)).waiting
    assert len(shown) == 4
    assert all({one.left.name.split("_")[1], one.right.name.split("_")[1]} == {"10", "base"} for one in shown)


def test_photos_of_one_scene_count_once(client: Client) -> None:
    """Two shots of one moment lie far off, one of another near: by scene both portraits' means are 4 and 3.5."""
    from exam.blind import nearer_side

    report = report_of(client)
    first, second = report.candidates[:2]
    scenes = report.model_copy(
        update={
            "photos": (*PHOTOS, "real_c.png"), "scenes": (0, 0, 1),
            "candidates": (
                first.model_copy(update={"distances": ((6.0, 6.0, 2.0),) * 8}),  # by photo 4.67, by scene 4
                second.model_copy(update={"distances": ((3.0, 3.0, 4.5),) * 8}),  # by photo 3.5, by scene 3.75
            ),
        }
    )  # fmt: skip
    pair = next(iter(draw_pairs(scenes, 1, 1)))
    assert nearer_side(scenes, pair) is (LEFT if pair.left == 1 else RIGHT)
    closer = scenes.candidates[0].model_copy(update={"distances": ((6.0, 6.0, 1.0),) * 8})  # by photo 4.33, by scene 3.5
    assert nearer_side(scenes.model_copy(update={"candidates": (closer, scenes.candidates[1])}), pair) is (
        LEFT if pair.left == 0 else RIGHT
    )


# --- going on ---------------------------------------------------------------------------------------------------------
def test_a_test_goes_on_with_the_pair_it_stood_at(client: Client) -> None:
    first = finish(answer_pairs(client))
    finish(answer_pairs(client, [LEFT, SAME, RIGHT]))
    again = pair_to_judge(client)
    assert again is not None and again == first.waiting[3]
    more = finish(answer_pairs(client, (), 22))
    assert [shown.picture for shown in more.waiting[:17]] == [shown.picture for shown in first.waiting[3:]]
    assert (more.answered, more.pairs, len(more.waiting)) == (3, 22, 19)
    assert [shown.picture for shown in finish(answer_pairs(client, [SAME])).waiting] == [first.waiting[4].picture]
    assert finish(answer_pairs(client)).pairs == 22  # it is remembered


KILLED = """
import os, sys
sys.path.insert(0, {root!r})
from pathlib import Path
import utils
from client_folder.client import open_client
from exam import blind
before, real = {before!r}, os.replace
def replace(*files):
    if before:
        os._exit(9)
    real(*files)
    os._exit(9)
utils.os.replace = replace
for _event in blind.answer_pairs(open_client(Path({home!r}), "ana"), [blind.Nearer.LEFT]):
    pass
"""


@pytest.mark.parametrize(("before", "kept"), [(True, 1), (False, 2)])
def test_killed_while_an_answer_is_written_it_is_there_or_not_and_the_next_pair_follows_from_that(
    client: Client, before: bool, kept: int
) -> None:
    pictures = [shown.picture for shown in finish(answer_pairs(client, (), 4)).waiting]
    finish(answer_pairs(client, [RIGHT]))
    code = KILLED.format(root=str(ROOT), home=str(client.home), before=before)
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 9
    assert len(record_of(client).answers) == kept
    report = finish(answer_pairs(client))
    assert report.answered == kept and [shown.picture for shown in report.waiting] == pictures[kept:]


def test_answers_of_an_older_exam_are_not_mixed_with_a_newer_one(client: Client) -> None:
    finish(answer_pairs(client, [LEFT] * 5))
    older = client.exam_report.read_bytes()
    assert agreement_with(client.exam_report, client.blind_record) is not None
    write_exam(client, {**DISTANCES, 40: [2.5] * 8})
    assert agreement_with(client.exam_report, client.blind_record) is None
    report = finish(answer_pairs(client, [LEFT]))
    assert report.answered == 1 and record_of(client).report_sha256 == sha256_file(client.exam_report)
    client.exam_report.write_bytes(older)
    assert agreement_with(client.exam_report, client.blind_record) is None


def test_begun_again_the_pairs_are_others(client: Client) -> None:
    before = [(pair.left, pair.right, pair.portrait) for pair in draw_pairs(report_of(client), _seed_after(client, [LEFT] * 3), 20)]
    again = finish(answer_pairs(client, again=True))
    assert (again.answered, again.agreement) == (0, None)
    assert [(pair.left, pair.right, pair.portrait) for pair in draw_pairs(report_of(client), record_of(client).seed, 20)] != before


def _seed_after(client: Client, answers: list[Nearer]) -> int:
    finish(answer_pairs(client, answers))
    return record_of(client).seed


# --- what cannot be ---------------------------------------------------------------------------------------------------
def test_without_an_exam_it_has_to_wait(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="examine the checkpoints first"):
        finish(answer_pairs(create_client(tmp_path, "eva", "woman")))


def test_more_answers_than_pairs_are_refused_and_none_is_kept(client: Client) -> None:
    finish(answer_pairs(client, [LEFT], 3))
    with pytest.raises(MoreAnswersThanPairs, match="3 answers, but only 2 pairs"):
        finish(answer_pairs(client, [LEFT] * 3))
    assert len(record_of(client).answers) == 1


def test_a_portrait_that_is_gone_is_named(client: Client) -> None:
    shown = pair_to_judge(client)
    assert shown is not None
    shown.picture.unlink()
    shown.left.unlink()
    with pytest.raises(PortraitsGone, match=shown.left.name):
        pair_to_judge(client)


def test_an_exam_of_a_version_that_did_not_name_its_portraits_has_to_be_made_again(client: Client) -> None:
    report = json.loads(client.exam_report.read_text())
    for candidate in report["candidates"]:
        del candidate["portraits"]
    del report["base_portraits"]
    client.exam_report.write_text(json.dumps(report))
    with pytest.raises(NothingToCompare):
        finish(answer_pairs(client))


def test_from_a_script_pairs_are_shown_and_answered(client: Client) -> None:
    def run(*words: str) -> tuple[int, dict]:
        done = subprocess.run(
            [sys.executable, "avatar_pipeline.py", "--home", str(client.home), "blind", "--client", "ana", "--json", *words],
            cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, json.loads(done.stdout or "{}")

    code, answer = run("--pairs", "4")
    assert code == 0 and (answer["answered"], answer["pairs"], answer["agreement"]) == (0, 4, None)
    assert [pair["number"] for pair in answer["waiting"]] == [1, 2, 3, 4]
    assert set(answer["waiting"][0]) == {"number", "picture"}
    sides = [steps_shown(Path(pair["picture"])) for pair in answer["waiting"]]
    words = ["left" if left > right else "right" for left, right in sides]
    code, answer = run("--answers", f"{words[0]},same", "--answers", words[2])
    assert code == 0 and answer["answered"] == 3 and len(answer["waiting"]) == 1
    found = {"agreed": 2, "counted": 2, "same": 1, "share": 1.0, "low": 0.2236, "high": 1.0, "word": "chance"}  # the root of 5 %
    assert answer["agreement"] == found
    assert json.loads(client.blind_record.read_text())["agreement"] == found
    assert run("--answers", "middle")[0] == 2
