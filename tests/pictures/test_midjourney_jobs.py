"""Groups by job, how their members fill each other's gaps, and the words that the jobs of a client share."""

import pytest

from pictures.midjourney import MidJourneyRecord, parse
from pictures.midjourney_jobs import group_by_job, master_prompt, prompt_difference

JOB = "5c0ffee0-1a2b-4c3d-8e4f-0123456789ab"
OTHER_JOB = "7ea5e77e-2b3c-4d5e-9f60-ba9876543210"
USER = "u7000000001"


def picture(index: int | None, text: str | None = None, job: str = JOB, body: str = "a_kite") -> MidJourneyRecord:
    tail = "" if index is None else f"_{index}"
    return parse(f"{USER}_{body}_{job}{tail}.png", text)


def test_members_are_sorted_and_keep_their_positions() -> None:
    first, second = group_by_job([picture(3), picture(0, job=OTHER_JOB), picture(None), picture(1)])
    assert first.uuid == JOB and first.positions == (2, 3, 0)
    assert [member.variation_index for member in first.members] == [None, 1, 3]
    assert first.missing == (0, 2)
    assert second.positions == (1,) and second.missing == (1, 2, 3)


def test_a_job_of_one_picture_misses_nothing() -> None:
    (group,) = group_by_job([picture(None)])
    assert group.missing == ()


def test_pictures_without_a_job_stand_alone() -> None:
    groups = group_by_job([parse("a.png", "a kite"), parse("b.png", "a kite")])
    assert [group.positions for group in groups] == [(0,), (1,)]


def test_a_member_with_text_fills_the_others() -> None:
    cut = "a_very_long_story_about_a_red_kite_over_the_hi_--c"
    (group,) = group_by_job([picture(0, body=cut), picture(1, "a red kite, high --v 7 --no tail")])
    filled = group.members[0]
    assert filled.prompt == group.prompt == "a red kite, high"
    assert filled.params == {"v": "7", "no": ["tail"]} and filled.sources["params.v"] == "embedded_text"
    assert filled.variation_index == 0 and not filled.truncated and not filled.uncertain
    assert not group.needs_prompt


def test_a_text_of_its_own_stands() -> None:
    (group,) = group_by_job([picture(0, "one --v 6"), picture(1, "two --chaos 3")])
    assert [member.prompt for member in group.members] == ["one", "two"]
    assert group.members[0].params == {"v": "6", "chaos": 3}


def test_the_user_name_is_shared() -> None:
    (group,) = group_by_job([parse(f"{JOB}_0.png"), picture(1)])
    assert group.members[0].username == USER and group.members[0].prompt == "a kite"


@pytest.mark.parametrize(("body", "asked"), [("a_kite", False), ("a" * 60, True), ("___", True)])
def test_only_a_group_without_a_whole_prompt_asks_for_it(body: str, asked: bool) -> None:
    (group,) = group_by_job([picture(0, body=body)])
    assert group.needs_prompt is asked


def test_no_record_is_lost() -> None:
    assert group_by_job([]) == ()
    records = [picture(index, job=job) for index in (2, 2, None, 0) for job in (JOB, OTHER_JOB)]
    positions = [position for group in group_by_job(records) for position in group.positions]
    assert sorted(positions) == list(range(8))


def test_the_master_prompt_is_what_most_jobs_share() -> None:
    prompts = [f"Portrait of a man in a {colour} suit, studio light" for colour in ("blue", "grey", "black", "brown")]
    assert master_prompt([*prompts, "a cat", None, ""]) == "Portrait of a man in a suit, studio light"
    assert master_prompt([*prompts, "a cat", "a dog"]) == "a"


def test_weights_and_punctuation_do_not_part_words() -> None:
    assert master_prompt(["man::2 smiling,", "Man, (smiling)"]) == "man smiling"


@pytest.mark.parametrize("prompts", [[], [None], ["", "  "], ["a cat", "two dogs"]])
def test_nothing_shared_gives_an_empty_master(prompts: list[str | None]) -> None:
    assert master_prompt(prompts) == ""


def test_the_difference_counts_every_turn_of_a_word() -> None:
    difference = prompt_difference("A man in a red suit", "a man in a hat in rain")
    assert difference.added == ("red", "suit")
    assert difference.missing == ("hat", "in", "rain")
