"""Whatever the OpenAPI allows is asked, and never answered with a fault of the program's (schemathesis)."""

import os
import time
from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from service_kit import Served

EXAMPLES = int(os.environ.get("SERVICE_EXAMPLES", "3"))  # of each address; a campaign by hand takes more
LEFT_OUT = ("/actions/setup", "/actions/demo", "/actions/models", "/actions/tensorboard")  # what downloads, and work of minutes
PROMISED = {(501, "/render-video"), (501, "/render-multi-scene")}
STREAMS = ("/events", "/jobs/{job}/events")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    home = tmp_path_factory.mktemp("fuzzed")
    (home / "settings.json").write_text('{"schema": 1, "base_model": "embedded"}')
    service = Served(home)
    assert service.post("/actions/client", {"verb": "create", "name": "anna_x"}).status_code == 200
    yield service
    service.close()


@pytest.mark.parametrize("role", ["work", "admin"])
def test_nothing_that_the_openapi_allows_is_a_fault(fuzzed, role):
    key = fuzzed.post("/keys", {"name": role, "role": role}).json()["token"]
    schema = schemathesis.openapi.from_dict(fuzzed.get("/openapi.json").json())
    faults, codes = [], Counter()

    def ask(case):
        answer = None
        while answer is None or answer.status_code == 429:
            answer = case.call(base_url=fuzzed.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
            time.sleep(float(answer.headers.get("retry-after", ["0"])[0]))
        codes[answer.status_code] += 1
        if answer.status_code >= 500 and (answer.status_code, case.operation.path) not in PROMISED:
            faults.append((answer.status_code, case.as_curl_command()[:600], answer.text[:300]))

    operations = [found.ok() for found in schema.get_all_operations()]
    asked = [one for one in operations if one.path not in STREAMS and not (role == "admin" and one.path.startswith("/actions/"))]
    assert len(asked) > 20
    for operation in asked:
        if operation.path not in LEFT_OUT:
            few = settings(
                max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            few(given(case=operation.as_strategy())(ask))()
    assert faults == []
    assert codes[200] > 10, codes
    assert codes[422] > 10, codes
