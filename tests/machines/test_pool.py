"""The joining key and its certificates, what two machines must agree in, what travels, and the words that make a plan again."""

import stat
import subprocess
import sys

import pytest
from pool_kit import ROOT, make_client
from stages import finish

from client_folder.client import open_client
from client_folder.consent import What, has_consent, record_consent
from client_folder.restore import restore_client
from config import Settings
from lora_trainer import plan_training
from machine.cards import GPU_PROFILES
from machines.errands import train_words
from machines.facts import BaseDiffers, DaskDiffers, ProgramDiffers, PythonDiffers, check_agreement, facts_here
from machines.parcels import ParcelDamaged, check_parcel, pack_for_training, pack_results
from machines.pool import NotAKey, certificates, full_address, joining_key, read_key, require_distributed
from machines.training_there import job_of, on_card
from terminal.command_line import build_parser, read_request
from training.plan import Overrides
from utils import sha256_file

SETTINGS = Settings(base_model="embedded")
CARD = next(profile for profile in GPU_PROFILES if profile.architecture == "ada")


def test_the_key_is_made_once_and_read_however_it_is_typed(tmp_path):
    key = joining_key(tmp_path)
    assert joining_key(tmp_path) == key and len(read_key(key)) == 20
    assert read_key(f"  {key.lower().replace('-', ' ')} ") == read_key(key)
    for wrong in ("", "ABCD", key[:-1], key + "A", key.replace(key[0], "1")):
        with pytest.raises(NotAKey):
            read_key(wrong)


def test_both_sides_derive_the_same_authority_and_nobody_else_does(tmp_path):
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    secret, other = read_key(joining_key(tmp_path / "a")), read_key(joining_key(tmp_path / "b"))

    def authority(home, secret):
        return x509.load_pem_x509_certificate(certificates(tmp_path / home, secret)[0].read_bytes())

    mine = x509.load_pem_x509_certificate(certificates(tmp_path / "a", secret)[1].read_bytes())
    mine.verify_directly_issued_by(authority("b", secret))
    with pytest.raises(InvalidSignature):
        mine.verify_directly_issued_by(authority("b", other))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps homes private itself")
def test_key_and_certificates_are_their_owners_alone(tmp_path):
    certificates(tmp_path, read_key(joining_key(tmp_path)))
    files = [path for path in (tmp_path / "pool").rglob("*") if path.is_file() and not path.name.endswith(".lock")]
    assert len(files) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.parametrize("said", ["studio", "studio:8786", "tls://studio:8786", "tls://studio/"])
def test_an_address_may_be_said_in_several_ways(said):
    assert full_address(said) == "tls://studio:8786"


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [("program", "0.1.0", ProgramDiffers), ("python", "3.13", PythonDiffers), ("dask", "2025.1.0", DaskDiffers)],
)
def test_whoever_runs_another_version_is_refused_with_the_cure(tmp_path, field, value, error):
    require_distributed()
    here = facts_here(tmp_path, SETTINGS)
    check_agreement(here, here)
    with pytest.raises(error) as refused:
        check_agreement(here, here.model_copy(update={field: value}))
    assert value in refused.value.text() + refused.value.cure()


def test_whoever_lacks_the_studios_base_is_refused(tmp_path):
    there = facts_here(tmp_path, SETTINGS)
    assert there.studio_base in there.bases
    with pytest.raises(BaseDiffers, match="base"):
        check_agreement(there.model_copy(update={"bases": {}}), there)


# --- the plan ---------------------------------------------------------------------------------------------------------
def test_the_words_make_the_same_plan_on_any_card(tmp_path):
    client = make_client(tmp_path, "ana")
    unusual = Overrides(steps=7, dim=4, alpha=2.5, learning_rate=3.3e-05, accumulation=2, seed=9, unet_only=True, sample_every=0)
    plan = plan_training(client, SETTINGS, gpu=CARD, preset="quick", overrides=unusual).plan
    words = train_words("ana", plan, "embedded")
    from actions.table import action_named
    from actions.train_request import TrainRequest

    options = build_parser(words).parse_args(words)
    request = read_request(options, TrainRequest)
    again = plan_training(client, SETTINGS, preset=request.preset, overrides=request.overrides, base_model=request.base).plan
    assert action_named("train").request is TrainRequest
    assert again.teaches_the_same(plan) and again.gpu != plan.gpu
    assert again.model_dump(exclude={"gpu", "base"}) == plan.model_dump(exclude={"gpu", "base"})


def test_a_job_has_one_name_wherever_it_is_done(tmp_path):
    client = make_client(tmp_path, "ana")
    plan = plan_training(client, SETTINGS, preset="quick").plan
    assert job_of(client, on_card(plan, CARD)) == job_of(client, plan)
    assert job_of(client, plan.model_copy(update={"seed": 1})) != job_of(client, plan)


# --- what travels -----------------------------------------------------------------------------------------------------
def test_only_what_the_job_needs_travels_and_the_consent_with_it(tmp_path):
    client = make_client(tmp_path / "studio", "ana")
    (client.raw_real / "passport.jpg").write_bytes(b"x" * 100)
    (client.output / "portrait_1.png").parent.mkdir()
    (client.output / "portrait_1.png").write_bytes(b"x" * 100)
    record_consent(client, What.TRAINING, "Ana, by mail")
    plan = plan_training(client, SETTINGS, preset="quick").plan
    packed = finish(pack_for_training(client, plan, tmp_path / "parcel.zip"))
    assert packed.sha256 == sha256_file(packed.file)
    check_parcel(packed.file, packed.sha256)
    there = finish(restore_client(tmp_path / "there", packed.file)).client
    assert has_consent(open_client(tmp_path / "there", "ana"), What.TRAINING)
    files = {path.relative_to(there.root).parts[0] for path in there.root.rglob("*") if path.is_file()}
    assert files == {"state.json", "training_data", "metadata"}
    assert plan_training(there, SETTINGS, preset="quick").plan.dataset_digest == plan.dataset_digest
    packed.file.write_bytes(packed.file.read_bytes()[:-1] + b"?")
    with pytest.raises(ParcelDamaged):
        check_parcel(packed.file, packed.sha256)


def test_results_name_nothing_that_speaks_of_the_machine_they_were_made_on(tmp_path):
    client = make_client(tmp_path, "ana")
    plan = plan_training(client, SETTINGS, preset="quick").plan
    for file in (client.trainer_pid, client.background_file, client.trainer_control / "save", client.plan_file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    finish(pack_results(client, plan, tmp_path / "results.zip"))
    import zipfile

    names = zipfile.ZipFile(tmp_path / "results.zip").namelist()
    assert names == ["ana/state.json", "ana/training/lora_config.json"]


# --- what is not loaded -----------------------------------------------------------------------------------------------
def test_a_queue_without_machines_loads_nothing_of_it():
    code = (
        "import sys, actions.queue, actions.machines, terminal.view_machines\n"
        "print([name for name in ('dask', 'distributed', 'cryptography', 'tornado') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
