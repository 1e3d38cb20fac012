"""Checkpoints found where other programs keep them: real safetensors files of one number in the folders that each program makes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from one_file import write_stub
from tiny_sdxl import make_base

from config import Settings
from machine import found_bases
from machine.base_models import BaseKind, Family, NotSdxl, base_at, distilled_as
from machine.found_bases import find_checkpoints, offered_bases

SD1 = "cond_stage_model.transformer.text_model.x"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of its own, where nothing was looked at before; what is mounted on this machine is of no matter."""
    folder = tmp_path / "user"
    folder.mkdir()
    for name, value in (
        ("HOME", folder),
        ("USERPROFILE", folder),
        ("APPDATA", folder / ".config"),
        ("XDG_CONFIG_HOME", folder / ".config"),
    ):
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("INVOKEAI_ROOT", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(found_bases, "_drives", lambda _user: ())
    found_bases._look.cache_clear()
    return folder


def names_found(user: Path, settings: Settings = Settings()) -> set[str]:  # noqa: B008 - frozen
    return {base.path.name for base in find_checkpoints(user / "home", settings) if base.path}


@pytest.mark.parametrize(
    "place",
    [
        "stable-diffusion-webui/models/Stable-diffusion",
        "AI/sd.webui/webui/models/Stable-diffusion",
        "Downloads/webui_forge_cu121_torch231/webui/models/Stable-diffusion/mine/portraits",
        "ComfyUI/models/checkpoints",
        "Desktop/ComfyUI_windows_portable/ComfyUI/models/checkpoints/sdxl",
        "Documents/ComfyUI/models/checkpoints",
        "Fooocus_win64_2-5-0/Fooocus/models/checkpoints",
        "StabilityMatrix/Data/Models/StableDiffusion",
        "StabilityMatrix/Data/Packages/ComfyUI/models/checkpoints",
        ".config/StabilityMatrix/Models/StableDiffusion",
        "invokeai/models/sdxl/main",
        "InvokeAI/models/0b2c6c5e",
        "git/SwarmUI/Models/Stable-Diffusion",
    ],
)
def test_a_checkpoint_is_found_where_each_program_keeps_it(user: Path, place: str) -> None:
    write_stub(user / place / "juggernautXL_v9.safetensors")
    (only,) = find_checkpoints(user / "home", Settings())
    assert (only.kind, only.path) == (BaseKind.SDXL, user / place / "juggernautXL_v9.safetensors")


def test_a_folder_that_another_program_is_told_of_is_looked_into(
    user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for drive in ("models_drive", "library", "invoke", "named"):
        write_stub(tmp_path / drive / "sub" / f"{drive}.safetensors")
    write_stub(tmp_path / "library" / "Models" / "StableDiffusion" / "matrix.safetensors")
    (user / "ComfyUI").mkdir()
    (user / "ComfyUI" / "extra_model_paths.yaml").write_text(
        f"#\nmine:\n  base_path: {tmp_path.as_posix()}/models_drive\n  is_default: true\n  checkpoints: |\n    sub\n    none\n"
        "  loras: models/Lora\nodd: 3\n"
    )
    (user / ".config" / "StabilityMatrix").mkdir(parents=True)
    (user / ".config" / "StabilityMatrix" / "library.json").write_text(json.dumps({"LibraryPath": str(tmp_path / "library")}))
    write_stub(tmp_path / "invoke" / "models" / "key" / "invoked.safetensors")
    monkeypatch.setenv("INVOKEAI_ROOT", str(tmp_path / "invoke"))
    named = Settings(models_folder=str(tmp_path / "named"))
    assert names_found(user, named) == {
        "models_drive.safetensors",
        "matrix.safetensors",
        "invoked.safetensors",
        "named.safetensors",
    }


def test_a_broken_configuration_or_checkpoint_of_another_program_is_passed_over(user: Path) -> None:
    (user / "ComfyUI").mkdir()
    (user / "ComfyUI" / "extra_model_paths.yaml").write_text("a: [1\n b: {")
    (user / ".config" / "StabilityMatrix").mkdir(parents=True)
    (user / ".config" / "StabilityMatrix" / "library.json").write_text("[]")
    torn = write_stub(user / "ComfyUI" / "models" / "checkpoints" / "torn.safetensors")
    torn.write_bytes(torn.read_bytes()[:-1])
    whole = write_stub(user / "ComfyUI" / "models" / "checkpoints" / "whole.safetensors")
    (whole.parent / "twice.safetensors").symlink_to(whole)
    assert len(names_found(user)) == 1, "the torn one is left out, and the same file by two names is one"


@pytest.mark.parametrize(
    ("tensor", "family"),
    [
        ("conditioner.embedders.1.model.ln_final.weight", Family.SDXL),
        ("conditioner.embedders.0.transformer.text_model.final_layer_norm.weight", Family.SDXL),
        ("conditioner.embedders.0.model.ln_final.weight", Family.REFINER),
        (SD1, Family.SD1),
        ("cond_stage_model.model.ln_final.weight", Family.SD2),
        ("model.diffusion_model.double_blocks.0.img_attn.qkv.weight", Family.FLUX),
        ("transformer.single_transformer_blocks.3.attn.to_q.weight", Family.FLUX),
        ("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", Family.SD3),
        ("lora_unet_down_blocks_1_attentions_0.lora_up.weight", Family.LORA),
        ("unet.down_blocks.1.attentions.0.to_q.lora_A.weight", Family.LORA),
        ("down_blocks.0.resnets.0.conv1.weight", Family.UNET),
        ("decoder.conv_in.weight", Family.VAE),
        ("some.thing.else", Family.OTHER),
    ],
)
def test_the_header_says_what_a_file_is(tmp_path: Path, tensor: str, family: Family) -> None:
    base = base_at(write_stub(tmp_path / "model.safetensors", tensor))
    assert base.family is family
    assert (base.kind is BaseKind.SDXL) is (family is Family.SDXL)
    if family is not Family.SDXL:
        with pytest.raises(NotSdxl) as refused:
            base.require()
        assert family.label in refused.value.text()


def test_names_tell_how_a_checkpoint_was_made_fast() -> None:
    assert distilled_as("dreamshaperXL_v21TurboDPMSDE.safetensors") == "Turbo"
    assert distilled_as("juggernautXL_v9Rdphoto2Lightning_4S.safetensors") == "Lightning"
    assert distilled_as("sdxl_lightning_4step_unet.safetensors") == "Lightning"
    assert distilled_as("realvisxl_lcm.safetensors") == "LCM"
    assert distilled_as("hyperrealistic_v3.safetensors") == distilled_as("sd_xl_base_1.0.safetensors") == ""


def test_full_sdxl_is_offered_before_few_step_models_and_nothing_else_is(user: Path) -> None:
    folder = user / "ComfyUI" / "models" / "checkpoints"
    for name in ("a_turbo.safetensors", "zeta_xl.safetensors"):
        write_stub(folder / name)
    write_stub(folder / "old.safetensors", SD1)
    make_base(folder / "as_folder")
    offered = offered_bases(user / "home", Settings())
    assert [base.path.name if base.path else base.name for base in offered] == [
        "sdxl", "zeta_xl.safetensors", "a_turbo.safetensors", "base",
    ]  # fmt: skip
    assert offered[0].preload == "sdxl-base" and offered[-1].practice
    assert names_found(user) == {"a_turbo.safetensors", "zeta_xl.safetensors", "old.safetensors", "as_folder"}


def test_looking_ends_however_much_there_is(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = user / "ComfyUI" / "models" / "checkpoints"
    for number in range(12):
        write_stub(folder / f"{number}.safetensors")
    deep = folder / "1" / "2" / "3" / "4"
    write_stub(deep / "too_deep.safetensors")
    assert len(names_found(user)) == 12
    monkeypatch.setattr(found_bases, "MOST", 5)
    found_bases._look.cache_clear()
    assert len(names_found(user)) == 5
    monkeypatch.setattr(found_bases, "SECONDS", -1.0)
    found_bases._look.cache_clear()
    begun = time.monotonic()
    assert len(names_found(user)) <= 1 and time.monotonic() - begun < 1
