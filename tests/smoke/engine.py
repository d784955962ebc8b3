"""An OpenAI client of a served model, and its metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hack import expositions, versions
from hack.demo import PORT, request
from hack.flags import minor
from hack.kube import Cluster
from tests.unit.models import defined


@dataclass(frozen=True)
class Engine:
    """The API of one service, or of one of its pods, on a local port; `headers` go with every question."""

    port: int
    model: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def connect(cls, cluster: Cluster, namespace: str, name: str, pod: str = "") -> Iterator[Engine]:
        """The workload Service of an LLMInferenceService, or a pod; its model is the first that it lists."""
        target = f"pod/{pod}" if pod else f"service/{name}-kserve-workload-svc"
        with cluster.port_forward(namespace, target, PORT) as port:
            models = json.load(request(port, "/v1/models"))["data"]
            yield cls(port, models[0]["id"])

    def models(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.load(request(self.port, "/v1/models"))["data"]
        return listed

    def complete(self, prompt: str, **body: Any) -> dict[str, Any]:
        """A greedy completion."""
        wanted = {"model": self.model, "prompt": prompt, "max_tokens": 24, "temperature": 0, **body}
        answer: dict[str, Any] = json.load(request(self.port, "/v1/completions", wanted, self.headers))
        return answer

    def stream(self, question: str) -> tuple[list[str], bool]:
        """The pieces of a streamed chat answer, and whether the stream ended with its end mark."""
        body = {"model": self.model, "messages": [{"role": "user", "content": question}], "stream": True, "temperature": 0}
        pieces, ended = [], False
        for line in request(self.port, "/v1/chat/completions", {**body, "max_tokens": 24}, self.headers):
            data = line.decode().strip().removeprefix("data: ")
            if data == "[DONE]":
                ended = True
            elif data:
                pieces += [choice["delta"].get("content") or "" for choice in json.loads(data)["choices"]]
        return pieces, ended

    def cache_tokens(self) -> int:
        """The tokens for which vLLM says that its KV cache has room."""
        text = request(self.port, "/metrics").read().decode()
        (tokens,) = re.findall(r'^vllm:cache_config_info{.*\bkv_cache_size_tokens="(\d+)"', text, re.MULTILINE)
        return int(tokens)

    def lacking(self) -> set[str]:
        """Rows of the charts' table of metrics that this engine does not export by name and kind; `up` is Prometheus's own."""
        exported = {"up": "gauge"} | dict(
            re.findall(r"^# TYPE (\S+) (\S+)$", request(self.port, "/metrics").read().decode(), re.MULTILINE)
        )
        rows: dict[str, dict[str, str]] = defined("llm-common.metrics")
        return {key for key, row in rows.items() if row["of"] == "engine" and exported.get(row["name"]) != row["kind"]}

    def unlike(self, *features: str) -> set[tuple[str, str]]:
        """vLLM's metrics, name and kind, that only this engine or only what is kept of an engine with its features exports."""
        text = request(self.port, "/metrics").read().decode()
        exported = {(name, kind) for name, kind in re.findall(r"^# TYPE (vllm:\S+) (\S+)$", text, re.MULTILINE)}
        known = expositions.read(expositions.file(minor(versions.document()["engine"]["vllm"])).read_text())
        here = {name: one for name, one in known.items() if not one.features or set(one.features) & set(features)}
        own = {(name, one.kind) for name, one in here.items() if name.startswith("vllm:")}
        return {(name, kind) for name, kind in exported ^ own if not name.endswith("_created")}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over the series that carry `labels`; 0 where there is none."""
        text = request(self.port, "/metrics").read().decode()
        series = re.findall(rf"^{re.escape(name)}{{([^}}]*)}} (\S+)$", text, re.MULTILINE)
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(float(value) for carried, value in series if wanted <= set(carried.split(",")))
