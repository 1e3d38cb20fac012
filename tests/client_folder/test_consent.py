"""Who agreed to what: no consent passes for another kind, another person's, or one that nobody gave."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from client_folder.client import create_client
from client_folder.consent import Consent, ConsentMissing, What, check_consent, consents_of, has_consent, record_consent
from utils import BrokenFile, SettingRefused


@pytest.mark.parametrize(("given", "other"), [(What.TRAINING, What.FACE_SWAP), (What.FACE_SWAP, What.TRAINING)])
def test_a_consent_of_one_kind_is_none_of_another(tmp_path, given, other):
    client = create_client(tmp_path, "ana")
    record_consent(client, given, "Ana, on paper")
    assert has_consent(client, given) and not has_consent(client, other)
    assert check_consent(client, given).what is given
    with pytest.raises(ConsentMissing, match="ana"):
        check_consent(client, other)


def test_a_consent_of_one_client_is_none_of_another(tmp_path):
    record_consent(create_client(tmp_path, "ana"), What.FACE_SWAP, "Ana")
    eva = create_client(tmp_path, "eva")
    assert not has_consent(eva, What.FACE_SWAP)
    with pytest.raises(ConsentMissing, match="eva"):
        check_consent(eva, What.FACE_SWAP)


def test_one_person_can_agree_to_both(tmp_path):
    client = create_client(tmp_path, "ana")
    record_consent(client, What.TRAINING, "Ana, on paper")
    record_consent(client, What.FACE_SWAP, "Ana, on paper")
    assert [one.what for one in consents_of(client)] == [What.TRAINING, What.FACE_SWAP]


def test_the_newest_of_a_kind_counts_and_every_one_is_kept(tmp_path):
    client = create_client(tmp_path, "ana")
    for what, by in (
        (What.FACE_SWAP, "Ana"),
        (What.FACE_SWAP, "Ana again"),
        (What.TRAINING, "Ana's agent"),
        (What.FACE_SWAP, "Ana"),
    ):
        record_consent(client, what, by)
    assert [(one.what, one.by) for one in consents_of(client)] == [
        (What.FACE_SWAP, "Ana"), (What.FACE_SWAP, "Ana again"), (What.TRAINING, "Ana's agent"),
    ]  # fmt: skip
    assert check_consent(client, What.FACE_SWAP).by == "Ana again"
    assert check_consent(client, What.TRAINING).by == "Ana's agent"
    (told, *_rest) = json.loads(client.consents_file.read_text())["consents"]
    assert abs((datetime.now(UTC) - datetime.fromisoformat(told["recorded"])).total_seconds()) < 60


@pytest.mark.parametrize("by", ["", "   ", "\n\t", "x" * 201])
def test_a_consent_of_nobody_is_none(tmp_path, by):
    client = create_client(tmp_path, "ana")
    with pytest.raises(SettingRefused):
        record_consent(client, What.FACE_SWAP, by)
    assert not client.consents_file.exists() and not has_consent(client, What.FACE_SWAP)
    record_consent(client, What.FACE_SWAP, "x" * 200)
    assert has_consent(client, What.FACE_SWAP)


def test_a_consent_to_something_unknown_is_no_consent_to_anything(tmp_path):
    client = create_client(tmp_path, "ana")
    record_consent(client, What.FACE_SWAP, "Ana")
    client.consents_file.write_text(client.consents_file.read_text().replace("face_swap", "everything"))
    with pytest.raises(BrokenFile):
        check_consent(client, What.FACE_SWAP)
    assert {what.value for what in What} == {"face_swap", "training"}
    assert Consent(what=What.TRAINING, by="a", recorded="r").what is not What.FACE_SWAP
