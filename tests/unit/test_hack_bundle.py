"""What a bundle names and carries, against what the charts render."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from hack import bundle, documents, kserve
from hack.paths import VALUES
from tests.harness import render

MIRROR = "mirror.example.com/hub"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("bundle") / "bundle"
    bundle.bundle(VALUES / "deploy-disaggregated.yaml", "chat", "llm", target)
    return target


def rendered(mirror: str) -> set[str]:
    """The images of both planes under a mirror, by another way than the bundle's: the lines of helm's output."""
    values: dict[str, Any] = {"global": {"imageRegistry": mirror}}
    texts = [
        render("llm-stack", VALUES / "deploy-disaggregated.yaml", values=values, name="chat", namespace="llm").text,
        render("llm-stack", VALUES / "platform.yaml", values=values, name="kserve-controller", namespace=kserve.NAMESPACE).text,
    ]
    words = {word.strip('",') for text in texts for word in text.split()}
    return {word for word in words if word.startswith(f"{mirror}/") and ":" in word}


def test_every_image_is_named_and_pushed_where_the_charts_look_for_it(made: Path, tmp_path: Path) -> None:
    """The script with a stand-in for docker that writes down what it is asked."""
    (tmp_path / "docker").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n')
    (tmp_path / "docker").chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    for arguments in (["save"], ["load", MIRROR]):
        subprocess.run([made / "bundle.sh", *arguments], env=env, check=True, capture_output=True)
    asked = [line.split() for line in (tmp_path / "asked").read_text().splitlines()]
    named = (made / "images.txt").read_text().split()
    assert [words[1] for words in asked if words[0] == "pull"] == named
    saved = {words[3]: words[2] for words in asked if words[0] == "save"}
    assert [words[2] for words in asked if words[0] == "load"] == [saved[image] for image in named]
    assert len(set(saved.values())) == len(named)
    pushed = {words[1] for words in asked if words[0] == "push"}
    assert pushed == rendered(MIRROR)
    assert {"kserve/llmisvc-controller", "kserve/storage-initializer", "vllm/vllm-openai"} <= {
        image.removeprefix(f"{MIRROR}/").partition(":")[0] for image in pushed
    }


def test_it_holds_charts_values_and_definitions(made: Path) -> None:
    names = {path.name for path in made.iterdir()} - {"images"}
    assert names == {
        *("llm-stack-0.1.0.tgz", "deploy-disaggregated.yaml", "platform.yaml", "crds.yaml", "images.txt", "bundle.sh"),
    }
    definitions = list(documents.load_all((made / "crds.yaml").read_text()))
    assert {definition["metadata"]["name"] for definition in definitions} == set(kserve.CRDS)


@pytest.mark.parametrize("arguments", [[], ["load"]])
def test_the_script_says_what_it_needs(made: Path, arguments: list[str]) -> None:
    done = subprocess.run([made / "bundle.sh", *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert "bundle.sh load REGISTRY" in done.stderr or "which registry?" in done.stderr
