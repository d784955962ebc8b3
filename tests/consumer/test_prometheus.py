"""Prometheus as `make smoke` installs it: what promtool and Kubernetes' own rules say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack import documents, gobuild, keda, prometheus, versions
from hack.kube import Object
from hack.shell import run
from tests.invariants.test_pods import restricted


def one(kind: str) -> Object:
    (found,) = [obj for obj in prometheus.objects() if obj["kind"] == kind]
    return found


def test_promtool_takes_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(one("ConfigMap")["data"]["prometheus.yml"])
    done = run(gobuild.program("promtool"), "check", "config", "--syntax-only", file, check=False)
    assert done.returncode == 0, done.stderr


def test_promtool_takes_the_group_that_marks_the_rules(tmp_path: Path) -> None:
    rules, group = prometheus.rules({"own.yaml": "groups: []"})
    assert rules["metadata"]["name"] == prometheus.RULES
    for name, text in rules["data"].items():
        (tmp_path / name).write_text(text)
        done = run(gobuild.program("promtool"), "check", "rules", tmp_path / name, check=False)
        assert done.returncode == 0, done.stderr
    assert group in rules["data"]["content.yaml"]
    assert prometheus.rules({"own.yaml": "groups:\n"})[1] != group


def test_the_pod_is_restricted_and_of_the_pinned_image() -> None:
    spec = one("Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert restricted(spec, container) == []
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    image, module = versions.images()["prometheus"], versions.go_modules()["prometheus"]
    assert container["image"] == image.ref
    # The module's v0.313.5 is Prometheus 3.13.5.
    zero, minor, patch = module.version.removeprefix("v").split(".")
    assert (zero, image.tag) == ("0", f"v{minor[0]}.{int(minor[1:])}.{patch}")
    assert (gobuild.module_dir("prometheus") / "VERSION").read_text().strip() == image.tag.removeprefix("v")


def test_it_may_see_pods_and_nothing_else() -> None:
    assert one("ClusterRole")["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    (subject,) = one("ClusterRoleBinding")["subjects"]
    account = one("ServiceAccount")["metadata"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    assert one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]


def test_a_changed_configuration_starts_a_new_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    before = one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    changed = {**prometheus.configuration(), "scrape_configs": []}
    monkeypatch.setattr(prometheus, "configuration", lambda: changed)
    assert one("Deployment")["spec"]["template"]["metadata"]["annotations"] != before
    assert documents.load(one("ConfigMap")["data"]["prometheus.yml"]) == changed


def test_its_namespace_is_its_own() -> None:
    assert {obj["metadata"].get("namespace", prometheus.NAMESPACE) for obj in prometheus.objects()} == {prometheus.NAMESPACE}
    assert prometheus.NAMESPACE != keda.NAMESPACE
