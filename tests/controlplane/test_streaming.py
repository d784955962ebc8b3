"""A service that streams its weights, as KServe's real controller merges it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hack.kube import until
from tests.controlplane import merged
from tests.controlplane.conftest import NAMESPACE
from tests.harness import render, thaw
from tests.harness.container import engine_container, run_stub
from tests.harness.controlplane import ControlPlane
from tests.harness.scenarios import EXAMPLE_VALUES

URI = "s3://models/qwen2.5-7b-instruct"
SPLIT = {"global": {"llm": {"prefill": {"enabled": True}}}}


@pytest.mark.parametrize(("name", "values", "sides"), [("streamed", {}, ("",)), ("streamed-pd", SPLIT, ("", "-prefill"))])
def test_nothing_is_downloaded_or_mounted_and_vllm_gets_the_uri(
    plane: ControlPlane, tmp_path: Path, name: str, values: dict[str, Any], sides: tuple[str, ...]
) -> None:
    objects = render("llm-stack", EXAMPLE_VALUES / "streamed.yaml", name=name, namespace=NAMESPACE, values=values).objects
    merged.create(plane, [thaw(obj) for obj in objects], NAMESPACE, name)
    for side in sides:
        until(lambda side=side: plane.cluster.get("deployment", f"{name}-kserve{side}", "-n", NAMESPACE), 20, f"no {side}")
        pod = (plane.cluster.get("deployment", f"{name}-kserve{side}", "-n", NAMESPACE) or {})["spec"]["template"]["spec"]
        main = engine_container(pod)
        assert "storage-initializer" not in [container["name"] for container in pod.get("initContainers", [])]
        assert [mount for mount in main["volumeMounts"] if mount["mountPath"].startswith("/mnt")] == []
        assert not any("persistentVolumeClaim" in volume for volume in pod["volumes"])
        words = run_stub(main, tmp_path / f"main{side}")[0]
        assert words[:2] == ["serve", URI]
        assert words[words.index("--load-format") + 1] == "runai_streamer"
        probed = main["readinessProbe"]["httpGet"]["port"]
        assert words[words.index("--port") + 1] == str(probed)
