"""What the installed vLLM exports on /metrics, as JSON on the last line: run by hack/flags.py where vLLM is installed.

vLLM's own arguments make a configuration of a model of a few numbers, its own stat logger registers what an engine of that
configuration exports, and its own route /metrics is asked for it: without any argument, then with each feature that may register
more. No weights, no engine, no accelerator, and nothing of this project.

Answer: {version, plain: exposition without any feature, rendered and other: {feature: exposition}, refused: {feature: error}}.
Features have the names that they have among engine arguments; `rendered` are those that the charts render.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

MODEL = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_hidden_layers": 1,
    "num_key_value_heads": 4,
    "vocab_size": 128,
    "max_position_embeddings": 2048,
    "torch_dtype": "float32",
}
ROUTE = "/v1/models"


def connector(name: str, **extra: Any) -> dict[str, Any]:
    """The configuration of a KV connector."""
    return {"kv_connector": name, "kv_role": "kv_both", "kv_connector_extra_config": extra}


NIXL = connector("NixlConnector")
TIERS = {"spec_name": "TieringOffloadingSpec", "secondary_tiers": [{"type": "fs", "root_dir": "/tmp/tier"}]}
TIERING = connector("OffloadingConnector", cpu_bytes_to_use=2**20, **TIERS)
RENDERED: dict[str, dict[str, Any]] = {
    "enable-lora": {"enable_lora": True},
    "speculative-config": {"speculative_config": {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 2}},
    "NixlConnector": {"kv_transfer_config": NIXL},
    "OffloadingConnector": {"kv_transfer_config": connector("OffloadingConnector", cpu_bytes_to_use=2**20)},
    "TieringOffloadingSpec": {"kv_transfer_config": TIERING},
    "MultiConnector": {"kv_transfer_config": connector("MultiConnector", connectors=[NIXL, TIERING])},
}
TOOLS = "tool-call-parser"
OTHER: dict[str, dict[str, Any]] = {
    "store_threshold": {"kv_transfer_config": connector("OffloadingConnector", cpu_bytes_to_use=2**20, store_threshold=2)},
    "kv-cache-metrics": {"kv_cache_metrics": True},
}


def ask(app: Any, path: str) -> str:
    """GET `path` of a web application, as its server would ask it. (Its test client wants packages that are not here.)"""
    body = bytearray()
    scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "query_string": b"", "headers": []}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        body.extend(message.get("body", b""))

    asyncio.run(app({**scope, "path": path, "root_path": "", "client": ("", 0), "server": ("", 0)}, receive, send))
    return body.decode()


class Exporter:
    """vLLM's web application without its API, and the stat loggers that fill it, one after another."""

    def __init__(self, folder: str) -> None:
        from fastapi import FastAPI
        from vllm.entrypoints.serve.instrumentator.metrics import attach_router

        self.folder, self.app = folder, FastAPI()
        self.fails = False
        self.app.get(ROUTE)(lambda: 1 // (not self.fails))
        attach_router(self.app)
        ask(self.app, ROUTE)
        self.fails = True
        with suppress(ZeroDivisionError):  # the answer is 500 all the same
            ask(self.app, ROUTE)

    def exposition(self, change: Callable[[Any], object] = id, **arguments: Any) -> str:
        """Of an engine with these arguments; `change` is for what vLLM would not configure here: no library, no accelerator."""
        from prometheus_client import REGISTRY
        from vllm.engine.arg_utils import EngineArgs
        from vllm.v1.metrics.loggers import PrometheusStatLogger

        made = EngineArgs(
            model=self.folder, skip_tokenizer_init=True, served_model_name="model", **arguments
        ).create_engine_config()
        change(made)
        PrometheusStatLogger(made).log_engine_initialized()
        for collector in list(REGISTRY._collector_to_names):  # a family shows its labels once it has a series
            names = getattr(collector, "_labelnames", ())
            if names and not collector._metrics:
                collector.labels(*[""] * len(names))
        return ask(self.app, "/metrics")

    def with_variable(self, name: str) -> str:
        """Of an engine with this environment variable."""
        os.environ[name] = "1"
        text = self.exposition()
        del os.environ[name]
        return text

    def with_parser(self) -> str:
        """Of an engine with a parser of tool calls, which vLLM's API registers when the engine is made."""
        from vllm.parser.metrics import init_parser_metrics

        self.exposition()
        init_parser_metrics(model_name="model")
        return ask(self.app, "/metrics")


def exchange(name: str, made: Any) -> None:
    """Put another connector into a configuration."""
    made.kv_transfer_config.kv_connector = name


def answers(folder: str) -> dict[str, Any]:
    """The answer."""
    import vllm
    from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory

    exporter = Exporter(folder)
    found: dict[str, Any] = {
        "version": vllm.__version__,
        "plain": exporter.exposition(),
        "rendered": {},
        "other": {},
        "refused": {},
    }

    def add(where: str, name: str, asked: Callable[[], str]) -> None:
        try:
            found[where][name] = asked()
        except Exception as error:
            found["refused"][name] = f"{type(error).__name__}: {' '.join(str(error).split())}"

    for name, arguments in RENDERED.items():
        add("rendered", name, partial(exporter.exposition, **arguments))
    add("rendered", TOOLS, exporter.with_parser)
    for name, arguments in OTHER.items():
        add("other", name, partial(exporter.exposition, **arguments))
    add("other", "watermark-config", partial(exporter.exposition, lambda made: setattr(made, "watermark_config", True)))
    for name in KVConnectorFactory._registry:
        if name not in RENDERED:
            add("other", name, partial(exporter.exposition, partial(exchange, name), kv_transfer_config=NIXL))
    add("other", "VLLM_COMPUTE_NANS_IN_LOGITS", partial(exporter.with_variable, "VLLM_COMPUTE_NANS_IN_LOGITS"))
    return found


def main() -> None:
    """Print the answer."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(MODEL))
        print(json.dumps(answers(folder)))


if __name__ == "__main__":
    main()
