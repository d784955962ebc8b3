"""Hostile values reach the real vLLM in a real pod: real kubelet, the image's own bash, and the names that the engine lists."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from hack import demo, deps, model, platform
from hack.demo import request
from hack.kube import Cluster
from hack.paths import CHARTS, VALUES
from tests.harness import values_file
from tests.harness.container import kubelet
from tests.smoke.engine import Engine

NAME = NAMESPACE = "arguments"
ENVIRONMENT = "$$(HOME) is '{{ home }}' `id` $HOME \\ \"x\" # é 🙂\n"
# All but the empty one, which vLLM's own parser turns into None.
NAMES = [
    *("plain", " ", "it's", 'say "x"', "a  b ", "line\nline\n", "tab\t", "\r", "back\\slash\\", "`id`", "$(id)", "${HOME}"),
    *("$HOME", "$(HOME)", "$$(HOME)", "$$", "$", "{{ .Spec.Model.Name }}", "{{{{{", "}}", "{{`{{`}}", "; exit 1", "a&&b", "a|b"),
    *(">x", "<x", "*", "?", "~", "~root", "!!", "#x", "{1,2}", "(x)", "%s", "é", "e\u0301", "漢字", "🙂", "\u202eabc", "שלום"),
    *("\u2028", "\x01\x1b", "long " * 2000),
]
# What the chat template prints is the prompt: the model answers it as it answers a prompt of that text.
TEMPLATE = "{% set words = 'it''s $HOME $(HOME) `id` $$' %}{{ \"The quick\" }}{{ ' brown' if words }}"


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Engine]:
    """The demo's model in a namespace of its own, served under hostile names."""
    deps.build()
    cluster.apply([platform.namespace(NAMESPACE)])
    try:
        model.fill(cluster, NAMESPACE, lambda _: None)
        args = {"served-model-name": NAMES, "chat-template": TEMPLATE, "chat-template-content-format": "string"}
        resources = {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "2Gi"}}
        engine_values = {"args": args, "env": {"HOSTILE": ENVIRONMENT}}
        values = {"global": {"llm": {"engine": engine_values, "overrides": {"resources": resources}}}}
        with values_file(values) as file:
            cluster.helm("install", NAME, CHARTS / "llm-stack", "-n", NAMESPACE, "-f", VALUES / "demo.yaml", "-f", file)
        demo.wait_serving(cluster, NAMESPACE, NAME, lambda _: None)
        with Engine.connect(cluster, NAMESPACE, NAME) as engine:
            yield engine
    finally:
        cluster.helm("uninstall", NAME, "-n", NAMESPACE, check=False)
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")  # its engine drains for a while


def test_names_are_listed_byte_for_byte(release: Engine) -> None:
    assert [listed["id"] for listed in release.models()] == NAMES


def test_every_name_is_served(release: Engine) -> None:
    """vLLM knows the model by each of them; its answer gives the first."""
    texts = {release.complete("The quick brown", model=name)["choices"][0]["text"] for name in NAMES}
    assert texts == {" fox jumps over the lazy dog."}


def test_the_chat_template_is_the_one_that_was_written(release: Engine) -> None:
    body = {"model": "plain", "messages": [{"role": "user", "content": "?"}], "temperature": 0, "max_tokens": 24}
    answer = json.load(request(release.port, "/v1/chat/completions", body))
    assert answer["choices"][0]["message"]["content"] == " fox jumps over the lazy dog."


def test_the_environment_is_what_was_written(cluster: Cluster, release: Engine) -> None:
    """The process's own environment, which holds the kubelet's expansion of what was written."""
    read = ("exec", "-n", NAMESPACE, f"deployment/{NAME}-kserve", "-c", "main", "--", "cat", "/proc/1/environ")
    environment = dict(line.partition("=")[::2] for line in cluster.kubectl(*read).split("\0") if line)
    assert environment["HOSTILE"] == kubelet(ENVIRONMENT, {})
