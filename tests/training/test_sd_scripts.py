"""Setting up sd-scripts: real git, a real virtual environment, a stand-in for the repository; no network."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from stages import run

from config import Settings, change_settings, load_settings
from machine.gpu import GPUState
from training.sd_scripts import (
    TOKENIZERS,
    PythonTooNew,
    SetupFailed,
    TorchBuild,
    checkout_commit,
    install_trainer,
    plan_trainer,
    torch_for,
    trainer_folder,
)
from utils import Progress

STANDIN = Path(__file__).resolve().parents[1] / "data" / "standin_trainer" / "sdxl_train_network.py"
OPTIONS = Path(__file__).resolve().parents[2] / "training" / "sd_scripts_options.json"
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *words):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(["git", *identity, "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def source(tmp_path):
    """A repository with the stand-in's parser, a requirements file that asks for nothing, and a commit to pin."""
    folder = tmp_path / "source"
    (folder / "tests" / "data").mkdir(parents=True)
    script = STANDIN.read_text(encoding="utf-8").replace("parents[3]", "parents[0]")
    (folder / "sdxl_train_network.py").write_text(script, encoding="utf-8")
    (folder / "training").mkdir()
    shutil.copy(OPTIONS, folder / "training" / OPTIONS.name)
    (folder / "requirements.txt").write_text("# nothing\n-e .\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    (folder / "later.txt").write_text("not pinned")
    pinned = git(folder, "rev-parse", "HEAD")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "second")
    return folder, pinned


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    for name in TOKENIZERS:  # already loaded, so that no network is needed
        place = trainer_folder(folder) / "tokenizers" / name.replace("/", "_")
        place.mkdir(parents=True)
        (place / "vocab.json").write_text("{}")
    return folder


def planned(home, source, settings=None):
    folder, pinned = source
    plan = plan_trainer(home, settings or Settings(sd_scripts_source=str(folder)), None)
    return replace(plan, commit=pinned, torch=TorchBuild(()))


def no_transformers(plan):
    """The tokenizers step asks for transformers, which nothing has installed here: a package of that name that does nothing."""
    site = next((plan.python.parent.parent).glob("[Ll]ib/**/site-packages"))
    (site / "transformers.py").write_text("class CLIPTokenizer: pass\n")


def test_everything_is_made_shown_and_named_in_the_settings(home, source):
    plan = planned(home, source)
    stage = install_trainer(home, Settings(), plan)
    shown = []
    for event in stage:
        shown.append(event)
        if event.item == "loading the two CLIP tokenizers":
            break
    no_transformers(plan)
    change_settings(home, ["preset=quick"])  # by another program, in those twenty minutes
    _events, installed = run(stage)
    assert {"cloning sd-scripts", "making its virtual environment", "installing its requirements"} <= {one.item for one in shown}
    assert all(isinstance(event, Progress) for event in shown)
    assert installed.options == 197
    assert installed.commit == source[1] == checkout_commit(plan.checkout)
    assert not (plan.checkout / "later.txt").exists() or git(plan.checkout, "rev-parse", "HEAD") == source[1]
    assert "-e ." not in (trainer_folder(home) / "requirements.txt").read_text()
    settings = load_settings(home)
    assert settings.sd_scripts == str(plan.checkout)
    assert settings.sd_scripts_python == str(plan.python)
    assert settings.preset == "quick"
    # Again: nothing is done but asking the parser.
    said = plan.log.stat().st_size
    _events, again = run(install_trainer(home, settings, planned(home, source, settings)))
    assert again.options == 197
    assert plan.log.read_bytes()[said:].count(b"\n") == 1


def test_stopped_between_its_steps_it_goes_on_there(home, source):
    plan = planned(home, source)
    stage = install_trainer(home, Settings(), plan)
    while next(stage).item != "making its virtual environment":
        pass
    stage.close()
    assert (plan.checkout / "sdxl_train_network.py").is_file()
    script = plan.checkout / "sdxl_train_network.py"
    written = script.stat().st_mtime_ns
    stage = install_trainer(home, Settings(), plan)
    while next(stage).item != "installing PyTorch":
        pass
    stage.close()
    assert script.stat().st_mtime_ns == written
    assert plan.python.is_file()


def test_a_half_clone_is_begun_anew(home, source):
    plan = planned(home, source)
    half = trainer_folder(home) / "sd-scripts.part" / ".git"
    half.mkdir(parents=True)
    (half / "HEAD").write_text("garbage")
    stage = install_trainer(home, Settings(), plan)
    while next(stage).item != "making its virtual environment":
        pass
    stage.close()
    assert checkout_commit(plan.checkout) == source[1]
    assert not half.exists()


def test_a_checkout_and_a_python_of_ones_own_are_left_as_they_are(home, source):
    folder, _pinned = source
    before = sorted(path.name for path in folder.iterdir())
    settings = Settings(sd_scripts=str(folder), sd_scripts_python=sys.executable)
    plan = planned(home, source, settings)
    assert (plan.own_checkout, plan.own_python) == (True, True)
    events, installed = run(install_trainer(home, settings, plan))
    assert (installed.checkout, installed.python) == (folder, Path(sys.executable))
    assert "cloning sd-scripts" not in {event.item for event in events}
    assert [name for name in sorted(path.name for path in folder.iterdir()) if name != "__pycache__"] == before


def test_another_script_is_not_taken_for_sd_scripts(home, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "sdxl_train_network.py").write_text("import argparse\ndef setup_parser(): return argparse.ArgumentParser()\n")
    settings = Settings(sd_scripts=str(folder), sd_scripts_python=sys.executable)
    with pytest.raises(SetupFailed, match="asking its parser"):
        run(install_trainer(home, settings, plan_trainer(home, settings, None)))
    assert not (home / "settings.json").exists()


def test_without_a_network_it_says_what_to_do_by_hand(home, source):
    plan = replace(planned(home, source), source="https://nowhere.invalid/sd-scripts")
    with pytest.raises(SetupFailed) as failed:
        run(install_trainer(home, Settings(), plan))
    assert "git clone https://nowhere.invalid/sd-scripts" in failed.value.cure()
    assert "nowhere.invalid" in failed.value.facts["evidence"]


def test_without_git_it_says_how_to_get_it(home, source, monkeypatch):
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(SetupFailed) as failed:
        run(install_trainer(home, Settings(), planned(home, source)))
    assert "apt install git" in failed.value.cure()


@pytest.mark.parametrize(
    ("capability", "driver", "torch", "index"),
    [
        ((7, 5), "550.54", "torch==2.6.0", "cu124"), ((8, 6), "535.10", "torch==2.6.0", "cu124"),
        ((8, 9), "470.2", "torch==2.6.0", "cu118"), ((12, 0), "575.1", "torch==2.8.0", "cu128"),
    ],
)  # fmt: skip
def test_the_torch_that_fits_a_card(capability, driver, torch, index):
    build = torch_for(GPUState("card", driver, capability, 12, 1, 11, 0, 40))
    assert build.packages[0] == torch
    assert build.index.endswith(index)
    assert build.words()[-2] == "--index-url"


def test_without_a_card_the_small_torch_is_taken():
    assert "cu" not in torch_for(None).index.rpartition("/")[2].removeprefix("cpu")


def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(tmp_path, source):
    from training.machine_doctor import examine_machine

    folder, _pinned = source
    _events, report = run(examine_machine(tmp_path, Settings(sd_scripts=str(folder), base_model="/nowhere.safetensors")))
    checks = {check.label: check for check in report.checks}
    assert checks["Python"].well
    assert not checks["Base model"].well
    assert "settings base_model" in checks["Base model"].command
    assert not checks["sd-scripts"].well  # another commit than the pinned one
    assert "checkout" in checks["sd-scripts"].command
    assert "torch" in checks["PyTorch"].command or checks["PyTorch"].well
    assert {"GPU", "Driver", "Video memory", "Memory", "Free disk", "Tokenizers"} <= set(checks)
    assert json.dumps([check.found for check in report.checks])


@pytest.mark.parametrize(("version", "refused"), [((3, 12), False), ((3, 13), True)])
def test_on_windows_a_python_without_builds_is_refused_before_anything_is_fetched(home, source, monkeypatch, version, refused):
    """safetensors 0.4.5, which sd-scripts pins, has no build for Python 3.13 on Windows."""
    plan = planned(home, source)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "win32")
        elsewhere.setattr(sys, "version_info", (*version, 1, "final", 0))
        stage = install_trainer(home, Settings(), plan)
        if not refused:
            assert next(stage).item == "cloning sd-scripts"
            return
        with pytest.raises(PythonTooNew, match=r"Python 3\.13 on Windows") as told:
            next(stage)
    assert "install.ps1" in told.value.cure()
    assert not (plan.folder / "sd-scripts.part").exists() and not plan.checkout.exists() and not plan.python.exists()


def test_on_windows_a_python_that_is_named_is_taken_as_it_is(home, source, monkeypatch):
    plan = planned(home, source, Settings(sd_scripts_source=str(source[0]), sd_scripts_python=sys.executable))
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "win32")
        elsewhere.setattr(sys, "version_info", (3, 13, 1, "final", 0))
        assert next(install_trainer(home, Settings(), plan)).item == "cloning sd-scripts"
