"""KEDA as `make smoke` installs it, against upstream's own files."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from hack import documents, gobuild, keda, versions
from tests.invariants.test_pods import restricted


@cache
def objects() -> list[dict[str, Any]]:
    return keda.objects("PEM")


def named(kind: str) -> dict[str, dict[str, Any]]:
    return {obj["metadata"]["name"]: obj for obj in objects() if obj["kind"] == kind}


def container(deployment: str) -> dict[str, Any]:
    (found,) = named("Deployment")[deployment]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_names_are_those_that_the_installer_waits_for() -> None:
    assert set(keda.CRDS) <= set(named("CustomResourceDefinition"))
    assert set(named("Deployment")) == set(keda.DEPLOYMENTS)
    assert set(named("APIService")) == {keda.API}
    (webhooks,) = named("ValidatingWebhookConfiguration").values()
    assert keda.WEBHOOK in [webhook["name"] for webhook in webhooks["webhooks"]]
    assert {obj["metadata"].get("namespace") for obj in objects()} == {keda.NAMESPACE, "kube-system", None}


def test_the_certificate_is_ours_and_everyone_trusts_its_authority() -> None:
    assert not named("Secret")
    for deployment in named("Deployment").values():
        volumes = deployment["spec"]["template"]["spec"]["volumes"]
        assert keda.CERTIFICATE_SECRET in [volume.get("secret", {}).get("secretName") for volume in volumes]
    (webhooks,) = named("ValidatingWebhookConfiguration").values()
    clients = [webhook["clientConfig"] for webhook in webhooks["webhooks"]] + [named("APIService")[keda.API]["spec"]]
    assert {client["caBundle"] for client in clients} == {"UEVN"}
    dialled = {f"{client['service']['name']}.{client['service']['namespace']}.svc" for client in clients}
    adapter = (gobuild.module_dir("keda") / "cmd" / "adapter" / "main.go").read_text()
    (operator,) = re.findall(r'Sprintf\("(keda-operator\.%s\.svc[a-z.]*):\d+", kedautil\.GetPodNamespace\(\)\)', adapter)
    assert dialled | {operator % keda.NAMESPACE} == set(keda.HOSTS)
    assert {host.split(".")[0] for host in keda.HOSTS} == set(named("Service"))


def test_one_replica_without_leader_election_or_certificates_of_its_own() -> None:
    assert {deployment["spec"]["replicas"] for deployment in named("Deployment").values()} == {1}
    arguments = container(keda.OPERATOR)["args"]
    assert not [argument for argument in arguments if "leader" in argument]
    assert [argument for argument in arguments if "rotation" in argument] == ["--enable-cert-rotation=false"]
    main = (gobuild.module_dir("keda") / "cmd" / "operator" / "main.go").read_text()
    for flag in ("leader-elect", "enable-cert-rotation"):
        assert re.search(rf'"{flag}", (true|false)', main), flag
    assert '"leader-elect", false' in main


@pytest.mark.parametrize("deployment", keda.DEPLOYMENTS)
def test_pods_are_restricted_and_of_the_pinned_image(deployment: str) -> None:
    spec = named("Deployment")[deployment]["spec"]["template"]["spec"]
    assert restricted(spec, container(deployment)) == []
    image = versions.images()[keda.DEPLOYMENTS[deployment]]
    assert container(deployment)["image"] == image.ref
    assert f"v{image.tag}" == versions.go_modules()["keda"].version


def test_metrics_of_the_operator_are_where_prometheus_is_told() -> None:
    annotations = named("Deployment")[keda.OPERATOR]["spec"]["template"]["metadata"]["annotations"]
    ports = [str(port["containerPort"]) for port in container(keda.OPERATOR)["ports"]]
    assert annotations == {"prometheus.io/scrape": "true", "prometheus.io/port": ports[0]}


def test_kserve_knows_its_kinds() -> None:
    served = [version["name"] for version in named("CustomResourceDefinition")[keda.CRDS[0]]["spec"]["versions"]]
    tested = documents.load_all((gobuild.module_dir("kserve") / "test" / "crds" / "keda.yaml").read_text())
    (known,) = [crd for crd in tested if crd["metadata"]["name"] == keda.CRDS[0]]
    assert served == [version["name"] for version in known["spec"]["versions"]]
