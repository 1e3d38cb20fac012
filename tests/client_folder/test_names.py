"""Names of clients: what trigger word a name makes, which words cannot be one, and class words in English."""

import pytest

from client_folder.client import ClientExists, check_trigger, create_client, open_client
from client_folder.names import BadClientId, CommonWord, ReservedName, english_class_word, propose_trigger


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("José Ñandú", "jose_nandu"),
        ("  Ana  López-García ", "ana_lopez_garcia"),
        ("maria", "maria_x"),
        ("Mujer", "mujer_x"),
        ("con", "con_x"),
        ("3 Reyes", "reyes"),
        ("李", "client_x"),
        ("x", "x_client"),
    ],
)
def test_a_name_makes_a_trigger_word(tmp_path, name, word):
    assert propose_trigger(name) == word
    assert check_trigger(word, tmp_path) == word


def test_a_word_that_is_taken_gets_a_mark_or_a_number(tmp_path):
    create_client(tmp_path, "Jose_Nandu")
    assert propose_trigger("José Ñandú", ["Jose_Nandu"]) == "jose_nandu_x"
    assert propose_trigger("José Ñandú", ["Jose_Nandu", "jose_nandu_x"]) == "jose_nandu_2"
    with pytest.raises(ClientExists):
        check_trigger("jose_nandu", tmp_path)


@pytest.mark.parametrize(
    ("word", "error"),
    [("woman", CommonWord), ("María", BadClientId), ("maria", CommonWord), ("Maria", CommonWord), ("ROSA", CommonWord),
     ("COM1", ReservedName)],
)  # fmt: skip
def test_what_cannot_be_a_trigger_word_says_why(tmp_path, word, error):
    with pytest.raises(error) as raised:
        check_trigger(word, tmp_path)
    assert word in raised.value.text()


def test_captions_get_english_class_words(tmp_path):
    assert [english_class_word(word) for word in ("mujer", "Niña", "woman", "elf")] == ["woman", "girl", "woman", "elf"]
    create_client(tmp_path, "eva", "mujer")
    state = open_client(tmp_path, "eva").state()
    assert (state.class_word, state.name) == ("woman", "")


def test_an_older_client_without_a_name_goes_on(tmp_path):
    client = create_client(tmp_path, "eva")
    client.state_file.write_text('{"schema": 1, "created": "2026-01-01", "class_word": "mujer", "base_model": ""}')
    assert (client.display_name, client.title, client.state().class_word) == ("eva", "eva", "woman")
