"""The addresses of the plan for a web product, asked as its front end asks them."""

import asyncio
import base64
import io
import json
import time

import pytest
import websockets
from PIL import Image
from service_kit import run_apart


def test_health_gpu_and_avatars(served):
    assert served.get("/").json() | {"version": ""} == {"status": "online", "mode": "local", "version": "", "docs": "/docs"}
    gpu = served.get("/gpu-status").json()
    assert {
        "status",
        "vram_total",
        "vram_allocated",
        "vram_reserved",
        "vram_free",
        "utilization",
        "loaded_models",
        "cuda_version",
    } <= set(gpu)
    output = served.home / "clients" / "anna_x" / "output"
    output.mkdir(exist_ok=True)
    Image.new("RGB", (64, 64), "red").save(output / "favourite.png")
    record = served.home / "clients" / "anna_x" / "output" / "portraits.json"
    record.write_text(json.dumps({"schema": 1, "runs": [], "favourites": ["favourite.png"]}))
    avatars = served.get("/avatars").json()
    anna = next(one for one in avatars["avatars"] if one["id"] == "anna_x")
    assert (avatars["status"], anna["name"], anna["img"]) == ("success", "anna_x", "/files/anna_x/output/favourite.png")
    assert served.get(anna["img"]).headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("prompt", "words"),
    [("a cat in a garden", ["a cat in a garden", "sharp focus"]), ("retrato de una mujer en la playa", ["woman", "beach"])],
)
def test_a_magic_prompt(served, prompt, words):
    answer = served.post("/magic-prompt", {"prompt": prompt}).json()
    assert answer["status"] == "success"
    assert answer["original_prompt"] == prompt
    assert [word for word in words if word not in answer["prompt"]] == []
    assert answer["prompt"] == answer["enhanced_prompt"]
    assert "ohwx" not in answer["prompt"]
    named = served.post("/magic-prompt", {"prompt": "portrait of a woman", "avatar": "anna_x"}).json()
    assert "anna_x woman" in named["prompt"]


@pytest.mark.parametrize("path", ["/render-video", "/render-multi-scene"])
def test_films_are_not_made_and_say_why(served, path):
    answer = served.post(path, {"scenes": [], "anything": 1})
    assert answer.status_code == 501
    assert answer.json()["status"] == "error"
    assert answer.json()["message"]


def test_a_picture_without_a_lora_is_refused_with_the_step_that_is_missing(served):
    answer = served.post("/generate-image", {"prompt": "a portrait", "avatar": "anna_x"})
    assert answer.status_code == 409
    assert answer.json()["code"] == "NotReady"
    assert served.post("/generate-image", {"prompt": "x" * 3000}).status_code == 422
    assert served.post("/generate-image", {"prompt": ""}).status_code == 422
    assert served.post("/generate-image", {"prompt": "a portrait", "avatar": "nobody"}).status_code == 404


def test_a_face_swap_refuses_what_is_no_picture_and_keeps_nothing(served):
    made = io.BytesIO()
    Image.new("RGB", (128, 128), "grey").save(made, "PNG")
    good = f"data:image/png;base64,{base64.b64encode(made.getvalue()).decode()}"
    before = served.get("/api/assets").json()["assets_count"]
    for picture, status in (("not base64!", 422), (base64.b64encode(b"text").decode(), 422), (good, 409)):
        answer = served.post("/face-swap", {"target_image": picture, "avatar": "anna_x"})
        assert answer.status_code == status, answer.text  # of a whole picture: nobody answered what the models are used for
    assert served.get("/api/assets").json()["assets_count"] == before


def test_a_job_in_the_plans_words_and_its_updates_over_a_websocket(served):
    async def follow():
        headers = {"Authorization": f"Bearer {served.token}"}
        async with websockets.connect(served.url.replace("http", "ws") + "/ws", additional_headers=headers) as socket:
            job = served.post("/actions/grids", {"client": "anna_x"}).json()["id"]
            seen, until = [], time.monotonic() + 60
            while not (seen and seen[-1].get("status") in ("completed", "failed")):
                told = json.loads(await asyncio.wait_for(socket.recv(), until - time.monotonic()))
                if told["event"] == "gpu_status":
                    assert "gpus" in told
                elif told["job_id"] == job:
                    seen.append(told)
            return job, seen

    async def strangers():
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Bearer {served.token}", "Origin": "http://evil.example"},
        ):
            with pytest.raises(websockets.InvalidStatus, match="403"):
                async with websockets.connect(served.url.replace("http", "ws") + "/ws", additional_headers=headers):
                    pass

    run_apart(strangers())
    job, seen = run_apart(follow())
    assert seen[-1]["status"] == "completed"
    assert seen[-1]["progress"] == 100
    told = served.get(f"/api/jobs/{job}").json()
    assert (told["id"], told["status"], told["type"]) == (job, "completed", "grids")
    assert served.get("/api/jobs/20200101-000000-00000000").status_code == 404
