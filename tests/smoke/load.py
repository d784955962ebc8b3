"""Requests from a pod of the cluster, through a Service and its endpoints, for as long as a block lasts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hack import demo
from hack.kube import Cluster, until
from tests.smoke import releases

# A connection for each request, as those of many clients: kube-proxy then chooses among the pods that are ready.
SCRIPT = """
import http.client, json, os, threading, time
host, port, body = os.environ["HOST"], int(os.environ["PORT"]), os.environ["BODY"]
lock, done, errors, folder = threading.Lock(), 0, 0, "/tmp"

def ask():
    global done, errors
    while True:
        began = time.time()
        try:
            connection = http.client.HTTPConnection(host, port, timeout=120)
            connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise OSError(f"{answer.status} {text[:200]!r}")
            json.loads(text)["choices"][0]["text"]
            with lock:
                done += 1
        except Exception as error:
            with lock:
                errors += 1
            at, after = time.strftime("%H:%M:%S"), time.time() - began
            print(json.dumps({"error": f"{at} {type(error).__name__}: {error} after {after:.1f} s"}), flush=True)
            time.sleep(1)
        finally:
            connection.close()

for _ in range(int(os.environ["THREADS"])):
    threading.Thread(target=ask, daemon=True).start()
while True:
    time.sleep(1)
    print(json.dumps({"done": done, "errors": errors}), flush=True)
"""


@dataclass(frozen=True)
class Load:
    """A pod that asks; what it counted so far."""

    cluster: Cluster
    pod: str

    def _lines(self) -> list[dict[str, Any]]:
        log = self.cluster.kubectl("-n", demo.NAMESPACE, "logs", self.pod, check=False)
        return [json.loads(line) for line in log.splitlines() if line.startswith("{")]

    def done(self) -> int:
        """Requests that were answered."""
        return max((line["done"] for line in self._lines() if "done" in line), default=0)

    def errors(self) -> list[str]:
        """What went wrong, request by request."""
        return [line["error"] for line in self._lines() if "error" in line]


@contextmanager
def load(
    cluster: Cluster, service: str, *, address: str = "", threads: int = 2, name: str = "load", **body: Any
) -> Iterator[Load]:
    """`threads` clients, each with one completion after another of the LLMInferenceService `service`, or of one of its pods at
    `address`; the first was answered."""
    wanted = {"model": "smoke", "prompt": "The quick brown", "max_tokens": 24, "temperature": 0, **body}
    env = {
        "HOST": address or f"{service}-kserve-workload-svc.{demo.NAMESPACE}.svc.cluster.local",
        "PORT": str(demo.PORT),
        "BODY": json.dumps(wanted),
        "THREADS": str(threads),
    }
    with releases.script(cluster, name, SCRIPT, env):
        running = Load(cluster, name)
        until(lambda: running.done() > 0, 60, "no request was answered", every=1)
        yield running
