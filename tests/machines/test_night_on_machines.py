"""A night on three machines, processes of their own that joined over loopback: one is killed, then the scheduler; nothing is lost.

One client is trained on the practice base, and ends with the bytes that a training at home ends with. Another is "trained" by the
stand-in for sd-scripts, on a stand-in for SDXL: it counts its steps, and takes as long as the test wants.
"""

import sys
from dataclasses import replace

import pytest
from one_file import write_stub
from pool_kit import ROOT, Pool, make_client
from safetensors.numpy import load_file
from stages import run

import lora_trainer
import machines.facts
import training.plan
from actions.action import dump
from actions.machines import MachinesAnswer, MachinesRequest
from actions.queue import QueueAnswer, run_queue
from actions.request import Job, Session
from actions.table import action_named
from client_folder.client import open_client
from client_folder.consent import What, record_consent
from config import EMBEDDED_FOLDER, Settings, save_settings
from machine.model_process import ModelProcess
from machines.errors import NoScheduler
from machines.facts import ProgramDiffers
from machines.joined import WrongKey, join
from machines.pool import joining_key
from training.inputs import EMBEDDED_SCRIPT
from training.queue import Outcome
from training.runs import read_runs
from utils import Notice, write_record

STANDIN = ROOT / "tests" / "data" / "standin_trainer"
SETTINGS = Settings(base_model="embedded", sd_scripts=str(STANDIN))
NAMES = ("ana", "eva", "broken")
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not known to Windows"),
    pytest.mark.skipif(not (EMBEDDED_SCRIPT.is_file() and (EMBEDDED_FOLDER / "unet").is_dir()), reason="no embedded base"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def short():
    """Trainings of a few steps, with states between: the machines are told of them by the words of their plans."""
    patch = pytest.MonkeyPatch()
    patch.setattr(lora_trainer, "PRESETS", tuple(replace(preset, steps=40) for preset in lora_trainer.PRESETS))
    patch.setattr(training.plan, "_SDXL_SAVE_EVERY", 8)
    patch.setenv("STANDIN", "success")
    patch.setenv("STANDIN_PAUSE", "0.5")
    steps = dict.fromkeys(training.plan.EMBEDDED.steps, 6)
    patch.setattr(training.plan, "EMBEDDED", replace(training.plan.EMBEDDED, steps=steps, save_every=2, batch=2, warmup=1))
    patch.setenv("OMP_NUM_THREADS", "1")
    yield
    patch.undo()


@pytest.fixture(scope="module")
def pool(tmp_path_factory, short):
    folder = tmp_path_factory.mktemp("pool")
    base = write_stub(folder / "sdxl.safetensors")
    pool = Pool(folder, Settings(base_model=str(base), sd_scripts=str(STANDIN)))
    pool.home.mkdir()
    save_settings(pool.home, SETTINGS)
    pool.serve()
    pool.wait_for()
    for name in ("one", "two", "three"):
        pool.join(name)
    pool.wait_for("one", "two", "three")
    yield pool
    pool.end()


def listed(home):
    job = Job(Session(home, SETTINGS, ModelProcess()), MachinesRequest())
    _events, report = run(action_named("machines").run(job))
    return dump(MachinesAnswer.of(report))["machines"]


def test_who_has_joined_is_listed_with_its_cards(pool):
    rows = listed(pool.home)
    assert [row["name"] for row in rows] == ["one", "three", "two"]
    assert {row["state"] for row in rows} == {"free"} and {row["job"] for row in rows} == {""}
    assert rows[0]["gpus"] == [{"name": "NVIDIA GeForce RTX 3060", "total_gb": 12.0}]


def test_a_wrong_key_another_version_and_a_wrong_address_are_refused_before_anything_is_sent(pool, tmp_path, monkeypatch):
    with pytest.raises(WrongKey):
        next(join(tmp_path, SETTINGS, pool.address, joining_key(tmp_path), "four"))
    with pytest.raises(NoScheduler):
        next(join(tmp_path, SETTINGS, "127.0.0.1:9", joining_key(pool.home), "four"))
    monkeypatch.setattr(machines.facts, "VERSION", "0.0.9")
    with pytest.raises(ProgramDiffers, match=r"0\.0\.9"):
        next(join(tmp_path, SETTINGS, pool.address, joining_key(pool.home), "four"))
    assert {row["name"] for row in listed(pool.home)} == {"one", "two", "three"}


def test_a_night_with_a_killed_machine_and_a_killed_scheduler_ends_as_one_at_home(pool, tmp_path):
    for home, name in [*((pool.home, name) for name in NAMES), (tmp_path, "ana")]:
        client = make_client(home, name)
        record_consent(client, What.TRAINING, f"{name}, in writing")
        if name == "eva":
            state = client.state().model_copy(update={"base_model": pool.settings.base_model})
            write_record(client.state_file, state)
        if name == "broken":  # no trainer can read that, on whatever machine
            (client.training_data / "12_broken" / "0.png").write_bytes(b"no picture at all")
    killed = scheduler_killed = False
    where, notices = {}, []
    for event in run_and_keep(run_queue(pool.home, SETTINGS, NAMES, "quick", exam=False, machines=True)):
        if isinstance(event, Notice):
            notices.append(event)
            if "machine" in event.facts and "number" in event.facts:
                where[event.facts["client"]] = event.facts["machine"]
        if not killed and states(pool.home, "ana"):
            pool.kill(where["ana"])
            killed = True
        if not scheduler_killed and states(pool.home, "eva"):
            pool.kill("scheduler")
            pool.serve()
            scheduler_killed = True
    assert killed and scheduler_killed
    rows = {row.client: row for row in REPORT.pop().rows}
    assert [rows[name].outcome for name in NAMES] == [Outcome.DONE, Outcome.DONE, Outcome.FAILED], (rows, notices)
    assert (rows["ana"].attempts, rows["eva"].attempts, rows["broken"].attempts) == (2, 1, 2), notices
    assert rows["broken"].error and rows["broken"].hint
    assert any(run.begun for run in read_runs(open_client(pool.home, "ana"))), "it went on from the state that had come home"
    assert {"machine", "attempts"} <= set(dump(QueueAnswer.of(run(run_queue(pool.home, SETTINGS, ()))[1]))["clients"][0])

    assert lora(pool.home, "eva")["lora_unet.lora_down.weight"][0, 0] == 40, "no step was left out, none was taken twice"
    _events, alone = run(run_queue(tmp_path, SETTINGS, ("ana",), "quick", exam=False))
    assert [row.outcome for row in alone.rows] == [Outcome.DONE]
    there, here = lora(pool.home, "ana"), lora(tmp_path, "ana")
    assert there.keys() == here.keys() and there
    assert all(there[layer].tobytes() == here[layer].tobytes() for layer in there)
    assert not states(pool.home, "ana") + states(pool.home, "eva"), "a finished training needs no state"


def test_nothing_of_a_client_stays_on_a_machine(pool):
    left = [path for name in ("one", "two", "three") for path in (pool.folder / name).rglob("*") if path.suffix in (".png", ".zip")]
    running = set(pool.processes) - {"scheduler"}
    assert [path for path in left if path.relative_to(pool.folder).parts[0] in running] == []
    assert not list((pool.home / "pool").rglob("*.zip*"))


REPORT = []


def run_and_keep(stage):
    """The events of a stage; its report is kept aside."""
    REPORT.append((yield from stage))


def states(home, name):
    return [path for path in open_client(home, name).models.glob("*-state") if path.is_dir()]


def lora(home, name):
    return load_file(open_client(home, name).models / f"{name}_avatar_v1.safetensors")
