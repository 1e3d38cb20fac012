"""What a base model is, on real files: the embedded base, tiny models of SDXL's shape, SDXL placed by hand, torn files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from one_file import write_one_file, write_stub
from stages import run
from tiny_sdxl import SIDE_PX, make_base, make_lora

from client_folder.client import create_client
from config import EMBEDDED_FOLDER, Settings, save_settings
from generation import plan_portraits
from machine.base_models import (
    SINGLE_FILE_PX,
    BaseKind,
    BaseMissing,
    Family,
    NotSdxl,
    base_at,
    base_of,
    digest_model,
    few_steps,
    find_base,
)
from machine.models import Allows, NotDownloaded, model_named
from portraits.errors import RecipeRefused
from portraits.prompts import PromptOptions
from portraits.recipes import EMBEDDED_RECIPE, RecipeChoice, setup_of
from training.inputs import read_base
from training.installation import set_up
from training.machine_doctor import Check, examine_machine
from training.plan import TrainerKind
from utils import BrokenFile, ModelMissing, write_record

ROOT = Path(__file__).resolve().parents[2]
SDXL = Settings(base_model="sdxl")
# As the program first computed them: names of portraits and records of trainings hold these.
EMBEDDED_DIGEST = "147e864c65c3609bd0fe8349d2ce0b29fc91ddca1b9d926de41ff3196b14f950"
EMBEDDED_WEIGHTS_DIGEST = "d77f7d00e75daa97"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine's hub cache holds is of no matter."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def place_sdxl(home: Path) -> Path:
    """SDXL's files as `models preload sdxl-base` or a user leaves them; the checkpoint."""
    for file in model_named("sdxl-base").files:
        path = home / "models" / "sdxl-base" / file.path
        if path.suffix == ".safetensors":
            checkpoint = write_stub(path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    return checkpoint


def test_the_embedded_base(tmp_path: Path) -> None:
    base = find_base(tmp_path, Settings())
    assert (base.name, base.path, base.kind, base.native_px) == ("embedded", EMBEDDED_FOLDER, BaseKind.EMBEDDED, 96)
    assert (base.few_steps, base.practice, base.preload) == (None, True, "")
    assert (base.licence, base.allows) == ("MIT", Allows.ALL)
    assert find_base(tmp_path, SDXL, str(EMBEDDED_FOLDER)).practice, "the same folder by its path"


def test_digests_are_those_that_old_portraits_and_trainings_hold(tmp_path: Path) -> None:
    base = find_base(tmp_path, Settings())
    assert (base.digest, base.weights_digest) == (EMBEDDED_DIGEST, EMBEDDED_WEIGHTS_DIGEST)
    assert read_base(create_client(tmp_path, "ana"), Settings()).digest == EMBEDDED_WEIGHTS_DIGEST


def test_sdxl_that_is_not_here_says_how_to_come_by_it(tmp_path: Path) -> None:
    base = find_base(tmp_path, SDXL)
    assert (base.path, base.kind, base.native_px, base.practice) == (None, BaseKind.SDXL, SINGLE_FILE_PX, False)
    assert (base.preload, base.licence, base.allows) == ("sdxl-base", "CreativeML Open RAIL++-M", Allows.RULES)
    with pytest.raises(NotDownloaded, match="SDXL base 1") as missing:
        base.require()
    assert missing.value.cure() == "python avatar_pipeline.py models preload sdxl-base"
    facts = read_base(create_client(tmp_path, "ana"), SDXL)
    assert (facts.kind, facts.trainer) == (BaseKind.SDXL, TrainerKind.SD_SCRIPTS), "it can be planned for"


def test_sdxl_placed_by_hand_is_found(tmp_path: Path) -> None:
    checkpoint = place_sdxl(tmp_path)
    base = find_base(tmp_path, SDXL)
    assert (base.path, base.kind, base.native_px, base.preload) == (checkpoint, BaseKind.SDXL, SINGLE_FILE_PX, "")
    assert base.licence == "CreativeML Open RAIL++-M"
    client = create_client(tmp_path, "ana")
    assert read_base(client, SDXL).path == setup_of(client, SDXL).files.base == checkpoint


def test_a_folder_and_the_same_in_one_file(tmp_path: Path, tiny: Path) -> None:
    folder = base_at(tiny)
    assert (folder.kind, folder.native_px, folder.practice, folder.licence) == (BaseKind.EMBEDDED, SIDE_PX, False, "")
    file = base_at(write_one_file(tiny, tmp_path / "tinyXL_lightning_4step.safetensors"))
    assert (file.kind, file.native_px, file.few_steps) == (BaseKind.SDXL, SINGLE_FILE_PX, 4)
    assert len(file.digest) == 64 and len(file.weights_digest) == 16
    assert len({folder.digest, file.digest, folder.weights_digest, file.weights_digest}) == 4


def test_a_client_may_have_a_base_of_its_own(tmp_path: Path, tiny: Path) -> None:
    client = create_client(tmp_path, "ana")
    write_record(client.state_file, client.state().model_copy(update={"base_model": str(tiny)}))
    assert base_of(client, Settings()).path == tiny
    assert base_of(client, Settings(), "embedded").practice, "who names one is heard first"


def test_for_a_base_that_is_not_there_the_nearest_name_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    for name in ("juggernautXL_v9.safetensors", "realvis.safetensors"):
        write_stub(folder / name)

    def near(name: str) -> str:
        with pytest.raises(BaseMissing) as missing:
            find_base(tmp_path, Settings(base_model=name)).require()
        return missing.value.cure()

    assert near(str(folder / "jugernautXL_v9.safetensors")) == f"The nearest name: {folder / 'juggernautXL_v9.safetensors'}"
    assert near(str(folder / "zzz")) == f"In {folder}: juggernautXL_v9.safetensors, realvis.safetensors"
    assert near(str(folder / "xl" / "zzz")) == f"There is a folder {folder}, but none xl in it."
    assert near("sdlx") == "The nearest name: sdxl"
    (tmp_path / "empty").mkdir()
    assert "holds no checkpoint" in near(str(tmp_path / "empty" / "zzz"))


def test_what_is_torn_foreign_or_not_there_is_told_apart(tmp_path: Path, tiny: Path) -> None:
    torn = write_stub(tmp_path / "torn.safetensors")
    torn.write_bytes(torn.read_bytes()[:-1])
    with pytest.raises(BrokenFile, match="torn"):
        base_at(torn)
    for tensor in ("cond_stage_model.transformer.x", "lora_unet_down_blocks_0.lora_up.weight"):
        foreign = base_at(write_stub(tmp_path / "foreign.safetensors", tensor))
        assert foreign.kind is BaseKind.OTHER
        with pytest.raises(NotSdxl, match="foreign"):
            foreign.require()
    with pytest.raises(BaseMissing, match="nowhere"):
        find_base(tmp_path, Settings(base_model="/nowhere")).require()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model_index.json").write_text("{}")
    with pytest.raises(ModelMissing, match="unet"):
        base_at(tmp_path / "half")
    (tmp_path / "half" / "unet").mkdir()
    (tmp_path / "half" / "unet" / "config.json").write_text('{"sample_size": ')
    with pytest.raises(BrokenFile, match="line 1"):
        base_at(tmp_path / "half")


def test_a_folder_with_one_text_encoder_is_no_sdxl(tmp_path: Path) -> None:
    """SD 1 and 2 in diffusers' layout: the same files, but for the second encoder that only SDXL has."""
    for part, config in (
        ("", None), ("unet", {"block_out_channels": [320, 640, 1280, 1280], "sample_size": 64}),
        ("vae", {"_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512]}), ("text_encoder", {}),
    ):  # fmt: skip
        (tmp_path / "sd15" / part).mkdir(exist_ok=True)
        name = "config.json" if part else "model_index.json"
        (tmp_path / "sd15" / part / name).write_text(json.dumps(config or {}))
    base = base_at(tmp_path / "sd15")
    assert (base.kind, base.family) == (BaseKind.OTHER, Family.SD1)
    with pytest.raises(NotSdxl):
        base.require()
    (tmp_path / "sd15" / "text_encoder_2").mkdir()
    assert base_at(tmp_path / "sd15").kind is BaseKind.SDXL


def test_names_tell_the_steps() -> None:
    assert few_steps("sdxl_lightning_4step_unet.safetensors") == 4
    assert few_steps("dreamshaperXL_8step-lightning.safetensors") == 8
    assert few_steps("sd_xl_base_1.0.safetensors") is None
    assert few_steps("lightning_storm.safetensors") is None


def test_a_digest_is_made_anew_when_a_file_is_written_again(tmp_path: Path) -> None:
    model = write_stub(tmp_path / "model.safetensors")
    before = digest_model(model)
    assert digest_model(model) == before
    write_stub(model, "conditioner.embedders.1.other")
    assert digest_model(model) != before


def test_a_batch_of_portraits_reads_its_base_once(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    client = create_client(tmp_path, "ana")
    client.models.mkdir()
    make_lora(client.models / "ana_avatar_v1.safetensors")
    opened: Counter[str] = Counter()
    watching = True

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and str(arguments[0]).startswith(str(base)):
            opened[Path(str(arguments[0])).relative_to(base).as_posix()] += 1

    sys.addaudithook(hear)
    plan = plan_portraits(client, Settings(base_model=str(base)), prompt_options=PromptOptions(("a", "b")), weights=(0.0, 0.7, 1.0))
    watching = False
    assert plan.total == 12
    assert opened["unet/diffusion_pytorch_model.safetensors"] == 1
    # Small files: for the kind of the LoRA, for what the base is, for its digest.
    assert opened["unet/config.json"] == opened["vae/config.json"] == 3


# --- who asks ---------------------------------------------------------------------------------------------------------
def looked_at(home: Path, settings: Settings) -> tuple[Check, Check]:
    """What `doctor` and `setup` say of the base model."""
    return tuple({check.label: check for check in run(look(home, settings))[1].checks}["Base model"]
                 for look in (examine_machine, set_up))  # fmt: skip


def test_doctor_and_setup_find_sdxl_where_training_and_portraits_do(tmp_path: Path) -> None:
    for check in looked_at(tmp_path, SDXL):
        assert not check.well and check.command.endswith("models preload sdxl-base")
    checkpoint = place_sdxl(tmp_path)
    for check in looked_at(tmp_path, SDXL):
        assert check.well and check.found == str(checkpoint)


def test_setup_shows_the_command_that_fetches_sdxl(tmp_path: Path) -> None:
    save_settings(tmp_path, SDXL)
    words = [sys.executable, "avatar_pipeline.py", "--home", str(tmp_path), "--language", "en", "setup"]
    told = {**os.environ, "COLUMNS": "250", "HF_HUB_CACHE": str(tmp_path / "cache")}
    shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, env=told).stdout
    assert "To fetch it: python avatar_pipeline.py models preload sdxl-base" in " ".join(shown.split())


def test_doctor_and_setup_name_a_base_that_cannot_be_used(tmp_path: Path) -> None:
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(b"cut off")
    foreign = write_stub(tmp_path / "sd15.safetensors", "cond_stage_model.transformer.x")
    for base in (torn, foreign):
        for check in looked_at(tmp_path, Settings(base_model=str(base))):
            assert not check.well and "torn, or no SDXL" in check.cure
    for check in looked_at(tmp_path, Settings()):
        assert check.well and check.found == "embedded"


def test_the_embedded_bases_own_guidance_may_be_given(tmp_path: Path) -> None:
    client = create_client(tmp_path, "ana")
    assert setup_of(client, Settings(), RecipeChoice(guidance=EMBEDDED_RECIPE.guidance)).recipe == EMBEDDED_RECIPE
    assert not setup_of(client, Settings(), RecipeChoice(guidance=1.0)).recipe.negative
    for guidance in (0.9, 12.5):
        with pytest.raises(RecipeRefused) as refused:
            setup_of(client, Settings(), RecipeChoice(guidance=guidance))
        assert refused.value.cure() == "From 1.0 to 12.0; 1.25 is usual."
    place_sdxl(tmp_path)
    with pytest.raises(RecipeRefused) as refused:
        setup_of(client, SDXL, RecipeChoice(guidance=1.25))
    assert refused.value.cure() == "From 1.5 to 12.0; 7 is usual."


def test_looking_at_a_base_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom machine.base_models import find_base\nfrom config import Settings\n"
        f"base = find_base(Path({str(tmp_path)!r}), Settings())\nprint(base.digest, 'torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert shown.stdout.split() == [EMBEDDED_DIGEST, "False"]
