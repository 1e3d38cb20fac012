"""The settings file: defaults, round trip, and what a broken one says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from config import (
    EMBEDDED_FOLDER,
    PRESETS,
    QualityControlConfig,
    Settings,
    change_settings,
    load_settings,
    program_home,
    save_settings,
    settings_file,
    with_changes,
)
from locales.language import speak
from machine.cards import GPU_PROFILES
from utils import BrokenFile, SettingRefused

ROOT = Path(__file__).resolve().parents[1]


def test_without_a_file_the_defaults_hold(tmp_path):
    settings = load_settings(tmp_path)
    assert settings.distribution.share_real == 0.15
    assert settings.quality.face_confidence_threshold == 0.85
    assert not settings_file(tmp_path).exists()


# What the original plan and docs/settings-and-limits.md name for a dataset: 85 % MidJourney and 15 % photos, and the rest.
DATASET = {
    "share_real": 0.15, "max_repeats": 40, "min_pictures": 4, "exam_share": 0.2, "exam_minimum": 2, "exam_from": 6,
    "scene_seconds": 60, "near_duplicate_bits": 10,
}  # fmt: skip


def test_a_dataset_is_made_up_as_the_documents_say():
    assert Settings().distribution.model_dump() == DATASET


@pytest.mark.parametrize(
    "change",
    ["distribution.max_repeats=0", "distribution.max_repeats=1001", "distribution.share_real=1.01", "distribution.share_real=-0.01",
     "distribution.exam_share=0.51", "distribution.near_duplicate_bits=33", "distribution.min_pictures=0", "quality.min_inside=1.1",
     "quality.max_brightness=256", "quality.face_padding_factor=0.9", "quality.face_padding_factor=3.1", "quality.max_upscale=0.9",
     "quality.face_confidence_threshold=1.1", "notify_url=http://example.com/x", "notify_url=ftp://example.com", "language=fr"],
)  # fmt: skip
def test_a_value_out_of_its_range_is_refused(change):
    with pytest.raises(SettingRefused):
        with_changes(Settings(), [change])


@pytest.mark.parametrize("url", ["https://ntfy.sh/ana", "http://localhost:8080/x", "http://127.0.0.1/x", "http://[::1]/x", ""])
def test_an_address_that_goes_over_no_open_line_is_taken(url):
    assert with_changes(Settings(), [f"notify_url={url}"]).notify_url == url


def test_settings_come_back_as_they_were_saved(tmp_path):
    settings = Settings(language="es", quality=QualityControlConfig(blur_threshold=55))
    save_settings(tmp_path, settings)
    assert load_settings(tmp_path) == settings


def test_what_a_killed_change_left_goes_with_the_next(tmp_path):
    left, others = tmp_path / ".settings.json.999999999-815.part", tmp_path / ".queue.json.999999999-815.part"
    for path in (left, others):
        path.write_text('{"half')
    change_settings(tmp_path, ["language=es"])
    assert (left.exists(), others.exists(), load_settings(tmp_path).language) == (False, True, "es")


def test_the_original_plans_quality_keys_are_read(tmp_path):
    keys = (
        "face_confidence_threshold",
        "face_padding_factor",
        "min_brightness",
        "max_brightness",
        "min_contrast",
        "blur_threshold",
    )
    settings_file(tmp_path).write_text(json.dumps({"quality": dict(zip(keys, (0.8, 1.5, 30, 210, 20, 60), strict=True))}))
    assert load_settings(tmp_path).quality.min_brightness == 30


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"langauge": "es"}', "langauge"),
        ('{"distribution": {"share_real": 85}}', "share_real"),
        ('{"quality": {"blur_threshold": "high"}}', "blur_threshold"),
        ("{", "line 1"),
        ('{"schema": 2}', "schema"),
    ],
)
def test_a_broken_file_names_what_is_wrong_and_is_left_alone(tmp_path, text, word):
    settings_file(tmp_path).write_text(text)
    with pytest.raises(BrokenFile) as caught:
        load_settings(tmp_path)
    assert word in caught.value.text()
    assert settings_file(tmp_path).read_text() == text


def test_the_home_can_be_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("AVATAR_PIPELINE_HOME", str(tmp_path))
    assert program_home() == tmp_path.resolve()


def test_the_tables_have_what_the_plan_promises():
    assert {4, 6, 8, 12, 16, 24} <= {profile.vram_gb for profile in GPU_PROFILES}
    assert [(preset.name, preset.steps) for preset in PRESETS] == [("quick", 1500), ("balanced", 2000), ("quality", 3000)]
    assert EMBEDDED_FOLDER.parts[-2:] == ("embedded", "base")


PLAN = {
    "face_confidence_threshold": 0.75, "face_padding_factor": 1.8, "min_brightness": 30, "max_brightness": 210,
    "min_contrast": 20, "blur_threshold": 40,
}  # fmt: skip


@pytest.mark.parametrize("values", [PLAN, {"quality": PLAN}, {"schema": 1, "language": "es", **PLAN}])
def test_the_original_plans_limits_are_read(tmp_path: Path, values: dict[str, object]) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(values))
    quality = load_settings(tmp_path).quality
    assert {name: getattr(quality, name) for name in PLAN} == PLAN


def test_raw_differs_in_what_its_profile_says_and_nothing_else() -> None:
    quality = QualityControlConfig(min_brightness=33)
    standard, raw = quality.profile(False), quality.profile(True)
    differing = {name for name in type(standard).model_fields if getattr(standard, name) != getattr(raw, name)}
    assert differing == set(type(quality.raw).model_fields)
    assert raw.min_brightness == 33


def test_limits_of_raw_and_lists_can_be_changed_by_name(tmp_path: Path) -> None:
    changed = change_settings(tmp_path, ["quality.raw.max_noise=15", "caption_order=light,expression"])
    assert (changed.quality.raw.max_noise, changed.caption_order) == (15, ("light", "expression"))
    assert load_settings(tmp_path) == changed


def test_changes_of_many_programs_at_once_are_all_kept(tmp_path):
    code = (
        "import sys; from pathlib import Path; from config import change_settings; change_settings(Path(sys.argv[1]), sys.argv[2:])"
    )
    names = ("min_contrast", "min_brightness", "max_noise", "max_upscale")
    wanted = {name: getattr(Settings().quality, name) + 1 for name in names}
    words = [f"quality.{name}={value}" for name, value in wanted.items()] * 2
    running = [subprocess.Popen([sys.executable, "-c", code, tmp_path, word], cwd=ROOT) for word in words]
    assert [one.wait() for one in running] == [0] * len(words)
    assert {name: getattr(load_settings(tmp_path).quality, name) for name in names} == wanted


@pytest.mark.parametrize(
    ("change", "english", "spanish"),
    [
        ("language=xx", "choose one of: auto, en, es", "elige entre: auto, en, es"),
        ("quality.min_brightness=300", "at most 255", "como mucho 255"),
        ("quality.min_brightness=high", "a number is wanted", "hace falta un número"),
        ("distribution.max_repeats=1.5", "a whole number is wanted", "hace falta un número entero"),
        ("blurr=3", "The nearest name: quality.blur_threshold", "El nombre más parecido: quality.blur_threshold"),
        ("share_real=0.2", "The nearest name: distribution.share_real", "El nombre más parecido: distribution.share_real"),
        ("languag=es", "The nearest name: language", "El nombre más parecido: language"),
    ],
)
def test_a_setting_that_cannot_be_is_answered_in_the_users_words(change: str, english: str, spanish: str) -> None:
    for language, words in (("en", english), ("es", spanish)):
        speak(language)
        with pytest.raises(SettingRefused) as again:
            with_changes(Settings(), [change])
        assert words in again.value.text()
        assert "Input should" not in again.value.text()
    speak("en")
