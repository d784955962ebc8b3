"""An OpenAI client of a served model, and its metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hack.demo import PORT, request
from hack.kube import Cluster


@dataclass(frozen=True)
class Engine:
    """The API of one service on a local port."""

    port: int
    model: str

    @classmethod
    @contextmanager
    def connect(cls, cluster: Cluster, namespace: str, name: str) -> Iterator[Engine]:
        """The workload Service of an LLMInferenceService; its model is the first that it lists."""
        with cluster.port_forward(namespace, f"{name}-kserve-workload-svc", PORT) as port:
            models = json.load(request(port, "/v1/models"))["data"]
            yield cls(port, models[0]["id"])

    def models(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.load(request(self.port, "/v1/models"))["data"]
        return listed

    def complete(self, prompt: str, **body: Any) -> dict[str, Any]:
        """A greedy completion."""
        wanted = {"model": self.model, "prompt": prompt, "max_tokens": 24, "temperature": 0, **body}
        answer: dict[str, Any] = json.load(request(self.port, "/v1/completions", wanted))
        return answer

    def stream(self, question: str) -> tuple[list[str], bool]:
        """The pieces of a streamed chat answer, and whether the stream ended with its end mark."""
        body = {"model": self.model, "messages": [{"role": "user", "content": question}], "stream": True, "temperature": 0}
        pieces, ended = [], False
        for line in request(self.port, "/v1/chat/completions", {**body, "max_tokens": 24}):
            data = line.decode().strip().removeprefix("data: ")
            if data == "[DONE]":
                ended = True
            elif data:
                pieces += [choice["delta"].get("content") or "" for choice in json.loads(data)["choices"]]
        return pieces, ended

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        text = request(self.port, "/metrics").read().decode()
        return sum(float(value) for value in re.findall(rf"^{re.escape(name)}{{[^}}]*}} (\S+)$", text, re.MULTILINE))
