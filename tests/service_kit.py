"""The service as a test calls it: the real program, serving on a free port of loopback, in a process of its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

ROOT = Path(__file__).resolve().parent.parent


class Served:
    """A service that answers; `get` and `post` come with the owner's token and wait where they are told to."""

    def __init__(self, home, *words):
        self.home = home
        self.said = (home.parent / f"{home.name}.err").open("ab")
        argv = [
            sys.executable,
            "avatar_pipeline.py",
            "--home",
            str(home),
            "--language",
            "en",
            "serve",
            "--port",
            "0",
            "--json",
            *words,
        ]
        self.process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=self.said, text=True, start_new_session=True)
        line = self.process.stdout.readline()
        self.told = json.loads(line)
        self.url, self.token = self.told["url"], self.told["token"]
        self.http = httpx2.Client(base_url=self.url, timeout=60)

    def ask(self, method, path, *, token=None, **more):
        """One request; one that came too often is made again after as long as it is told to wait."""
        headers = {"authorization": f"Bearer {token or self.token}"} | more.pop("headers", {})
        while True:
            answer = self.http.request(method, path, headers=headers, **more)
            if answer.status_code != 429:
                return answer
            time.sleep(float(answer.headers["retry-after"]))

    def get(self, path, **more):
        """GET."""
        return self.ask("GET", path, **more)

    def post(self, path, body=None, **more):
        """POST of a JSON body."""
        return self.ask("POST", path, json={} if body is None else body, **more)

    def wait_for(self, job, *states, seconds=90):
        """The job once it is in one of these states."""
        until = time.monotonic() + seconds
        while (answer := self.get(f"/jobs/{job}").json())["state"] not in states:
            assert time.monotonic() < until, answer
            time.sleep(0.1)
        return answer

    def finished(self, answer, seconds=90):
        """What became of the job that a request was answered with."""
        assert answer.status_code == 202, answer.text
        return self.wait_for(answer.json()["id"], "done", "failed", "stopped", seconds=seconds)

    def kill(self):
        """End the program as a power cut does; the server itself ends by itself then."""
        os.kill(self.process.pid, signal.SIGKILL)
        self._leave()

    def close(self):
        """End it as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self._leave()

    def _leave(self):
        self.process.wait(30)
        self.process.stdout.close()
        self.http.close()
        self.said.close()


def run_apart(work):
    """What a coroutine gives, run in a thread of its own: a browser that a test holds open has this one's event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
