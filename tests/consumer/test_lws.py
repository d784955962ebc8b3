"""LeaderWorkerSet as `make smoke` installs it, against upstream's own files."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from hack import documents, gobuild, kserve, lws, versions

WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


@cache
def objects() -> list[dict[str, Any]]:
    return lws.objects("PEM")


def one(kind: str, name: str = "") -> dict[str, Any]:
    (found,) = [obj for obj in objects() if obj["kind"] == kind and name in obj["metadata"]["name"]]
    return found


def test_names_are_those_that_the_installer_waits_for() -> None:
    assert one("Namespace")["metadata"]["name"] == lws.NAMESPACE
    assert one("CustomResourceDefinition")["metadata"]["name"] == lws.CRD
    assert one("Deployment")["metadata"]["name"] == lws.CONTROLLER
    service = one("Service", "webhook")["metadata"]
    assert (f"{service['name']}.{service['namespace']}.svc",) == lws.WEBHOOK_HOSTS


def test_the_certificate_is_ours_and_everyone_trusts_its_authority() -> None:
    assert not [obj for obj in objects() if obj["kind"] == "Secret"]
    pod = one("Deployment")["spec"]["template"]["spec"]
    assert lws.CERTIFICATE_SECRET in [volume.get("secret", {}).get("secretName") for volume in pod["volumes"]]
    clients = [webhook["clientConfig"] for kind in WEBHOOKS for webhook in one(kind)["webhooks"]]
    clients.append(one("CustomResourceDefinition")["spec"]["conversion"]["webhook"]["clientConfig"])
    assert {client["caBundle"] for client in clients} == {"UEVN"}
    assert {(client["service"]["name"], client["service"]["namespace"]) for client in clients} == {
        ("lws-webhook-service", lws.NAMESPACE)
    }
    (configuration,) = [documents.load(text) for text in one("ConfigMap")["data"].values()]
    assert configuration["internalCertManagement"]["enable"] is False
    assert configuration["leaderElection"]["leaderElect"] is False


@pytest.mark.parametrize("kind", WEBHOOKS)
def test_pods_of_others_do_not_depend_on_it(kind: str) -> None:
    """Its webhook for pods is asked about pods of groups only: it fails closed."""
    (pods,) = [webhook for webhook in one(kind)["webhooks"] if webhook["rules"][0]["resources"] == ["pods"]]
    assert pods["objectSelector"] == {"matchExpressions": [{"key": "leaderworkerset.sigs.k8s.io/name", "operator": "Exists"}]}


def test_it_is_the_pinned_image_and_api() -> None:
    image = versions.images()["lws"]
    assert image.tag == versions.go_modules()["lws"].version
    (container,) = one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image.ref
    served = {version["name"] for version in one("CustomResourceDefinition")["spec"]["versions"] if version["served"]}
    (known,) = [crd for crd in kserve.optional_crds() if crd["metadata"]["name"] == lws.CRD]
    assert served == {version["name"] for version in known["spec"]["versions"]}


def test_the_sidecar_is_that_of_its_image() -> None:
    assert versions.images()["routing-sidecar"].tag == versions.go_modules()["llm-d-inference-scheduler"].version
    main = (gobuild.module_dir("llm-d-inference-scheduler") / "cmd" / "pd-sidecar" / "main.go").read_text()
    assert all(f'"{flag}"' in main for flag in ("port", "vllm-port", "connector", "secure-proxy"))
