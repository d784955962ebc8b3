"""What an object refers to is there: rendered with it, or named by a value that says somebody else makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.harness import SCENARIOS, Manifests, Scenario, pod_specs
from tests.harness.components import EXTERNALS, at, effective_values, externals, release

NAMED_BY = {
    "secretKeyRef": "Secret",
    "configMapKeyRef": "ConfigMap",
    "secretRef": "Secret",
    "configMapRef": "ConfigMap",
}


def pod_references(spec: Any) -> Iterator[str]:
    """`Kind/name` of everything that a pod needs before it starts."""
    if "serviceAccountName" in spec:
        yield f"ServiceAccount/{spec['serviceAccountName']}"
    for secret in spec.get("imagePullSecrets", ()):
        yield f"Secret/{secret['name']}"
    for volume in spec.get("volumes", ()):
        if "secret" in volume:
            yield f"Secret/{volume['secret']['secretName']}"
        if "configMap" in volume:
            yield f"ConfigMap/{volume['configMap']['name']}"
        if "persistentVolumeClaim" in volume:
            yield f"PersistentVolumeClaim/{volume['persistentVolumeClaim']['claimName']}"
    yield from nested(spec)


def nested(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in NAMED_BY:
                yield f"{NAMED_BY[key]}/{item['name']}"
            else:
                yield from nested(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from nested(item)


def references(manifests: Manifests) -> set[str]:
    found = {reference for _, spec in pod_specs(manifests.objects) for reference in pod_references(spec)}
    for obj in manifests.objects:
        if obj["kind"] == "LLMInferenceService" and obj["spec"]["model"]["uri"].startswith("pvc://"):
            found.add(f"PersistentVolumeClaim/{obj['spec']['model']['uri'].removeprefix('pvc://').split('/')[0]}")
        if obj["kind"] == "LocalModelNamespaceCache":
            found |= {f"LocalModelNodeGroup/{group}" for group in obj["spec"]["nodeGroups"]}
        if obj["kind"] == "ServiceAccount":
            found |= {f"Secret/{secret['name']}" for secret in obj.get("imagePullSecrets", ())}
        if obj["kind"] in ("ClusterRoleBinding", "RoleBinding"):
            found.add(f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}")
            found |= {f"{subject['kind']}/{subject['name']}" for subject in obj["subjects"]}
        if obj["kind"] == "Certificate" and obj["spec"]["issuerRef"]["kind"] == "Issuer":
            found.add(f"Issuer/{obj['spec']['issuerRef']['name']}")
        if obj["kind"] == "PodMonitor":
            endpoints = obj["spec"]["podMetricsEndpoints"]
            found |= {
                f"Secret/{asked['authorization']['credentials']['name']}" for asked in endpoints if "authorization" in asked
            }
        for webhook in obj.get("webhooks", ()):
            found.add(f"Service/{webhook['clientConfig']['service']['name']}")
    return found


def provided(manifests: Manifests) -> set[str]:
    """What is rendered, and the Secrets that rendered Certificates are written to."""
    certificates = {f"Secret/{obj['spec']['secretName']}" for obj in manifests.all("Certificate")}
    return set(manifests.names()) | certificates


def test_every_reference_is_rendered_or_declared_external(scenario: Scenario) -> None:
    manifests = release(scenario)
    wanted = references(manifests)
    assert wanted, scenario.name
    assert wanted - provided(manifests) <= externals(scenario)


def test_a_reference_to_nothing_would_be_seen() -> None:
    spec = {
        "containers": [],
        "volumes": [{"secret": {"secretName": "a"}}, {"configMap": {"name": "b"}}],
        "imagePullSecrets": [{"name": "c"}],
    }
    assert set(pod_references(spec)) == {"Secret/a", "ConfigMap/b", "Secret/c"}
    assert list(nested({"env": ({"valueFrom": {"secretKeyRef": {"name": "d", "key": "k"}}},)})) == ["Secret/d"]


def test_external_rows_name_values_that_exist() -> None:
    values = effective_values(SCENARIOS[0])
    for entry in EXTERNALS:
        assert list(at(values, entry.path.partition(".*")[0])), entry.path


def pods(manifests: Manifests) -> list[tuple[str, Mapping[str, str], set[Any]]]:
    """Name, labels and port names and numbers of every pod that the release's workloads make."""
    found = []
    for obj in manifests.objects:
        template = obj if obj["kind"] == "Pod" else obj.get("spec", {}).get("template", {})
        if "metadata" in template and "containers" in template.get("spec", {}):
            ports = [port for container in template["spec"]["containers"] for port in container.get("ports", ())]
            named = {port["name"] for port in ports} | {port["containerPort"] for port in ports}
            found.append((f"{obj['kind']}/{obj['metadata']['name']}", template["metadata"]["labels"], named))
    return found


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()


def test_workloads_select_their_own_pods_only(scenario: Scenario) -> None:
    manifests = release(scenario)
    for obj in manifests.objects:
        if obj["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
            selector = obj["spec"]["selector"]["matchLabels"]
            selected = [name for name, labels, _ in pods(manifests) if selects(selector, labels)]
            assert selected == [f"{obj['kind']}/{obj['metadata']['name']}"]


def test_services_select_exactly_one_workload_and_a_port_that_it_has(scenario: Scenario) -> None:
    manifests = release(scenario)
    for service in manifests.all("Service"):
        selected = [(name, ports) for name, labels, ports in pods(manifests) if selects(service["spec"]["selector"], labels)]
        assert len(selected) == 1, f"{service['metadata']['name']} selects {selected}"
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in selected[0][1], f"{service['metadata']['name']}: {port['targetPort']}"


def test_budgets_and_spreads_select_pods_of_the_release(scenario: Scenario) -> None:
    """Engine pods are KServe's; it labels them with the service's name (tests/controlplane compares with the merged pods)."""
    manifests = release(scenario)
    for budget in manifests.all("PodDisruptionBudget"):
        selector = budget["spec"]["selector"]["matchLabels"]
        own = [name for name, labels, _ in pods(manifests) if selects(selector, labels)]
        if not own:
            service = manifests.one("LLMInferenceService")
            assert selector["app.kubernetes.io/name"] == service["metadata"]["name"]
            (expression,) = budget["spec"]["selector"]["matchExpressions"]
            side = service["spec"]["prefill"] if budget["metadata"]["name"].endswith("-prefill") else service["spec"]
            (spread,) = side["template"]["topologySpreadConstraints"]
            labels = dict(spread["labelSelector"]["matchLabels"])
            assert labels.pop("app.kubernetes.io/component") in expression["values"]
            assert labels == selector


def test_webhooks_are_led_to_a_port_of_their_service(scenario: Scenario) -> None:
    manifests = release(scenario)
    for obj in manifests.objects:
        for webhook in obj.get("webhooks", ()):
            target = webhook["clientConfig"]["service"]
            service = manifests.one("Service", target["name"])
            assert target["namespace"] == service["metadata"]["namespace"]
            assert target["port"] in [port["port"] for port in service["spec"]["ports"]]
