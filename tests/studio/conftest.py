"""One service that most tests of a process share, with a client in it."""

import pytest
from PIL import Image
from service_kit import Served


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    home = tmp_path_factory.mktemp("served")
    (home / "settings.json").write_text('{"schema": 1, "base_model": "embedded"}')
    service = Served(home)
    assert service.post("/actions/client", {"verb": "create", "name": "anna_x", "class_word": "woman"}).status_code == 200
    yield service
    service.close()


@pytest.fixture
def picture(tmp_path):
    """A small picture, as bytes of a PNG."""
    file = tmp_path / "photo.png"
    Image.linear_gradient("L").convert("RGB").resize((300, 400)).save(file)
    return file.read_bytes()


@pytest.fixture(scope="session")
def keys(served):
    """A token for each role."""
    made = {"admin": served.token}
    for role in ("look", "work"):
        made[role] = served.post("/keys", {"name": f"{role}-key", "role": role}).json()["token"]
    made["gallery"] = served.post("/keys", {"name": "gallery-key", "role": "gallery", "client": "anna_x"}).json()["token"]
    return made
