"""What a release may contain, one row an object. Every invariant reads this table: a new component costs rows and no tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hack import documents, schemas
from tests.harness.helm import render
from tests.harness.manifests import Manifests
from tests.harness.scenarios import Scenario

Values = Mapping[str, Any]
RELEASE = "demo"
CONTROLLER_CHART = "kserve-controller"
MODEL_CHART = "llm-inference-service"
CACHE_CHART = "model-cache"
SCALING_CHART = "keda-autoscaling"
OBSERVING_CHART = "llm-observability"
PRESET = "LLMInferenceServiceConfig"
# Kinds without a namespace.
CLUSTER_WIDE = frozenset(
    {
        *("ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
        "LocalModelNodeGroup",
    }
)
# Longest name by kind, 63 elsewhere: KServe appends up to 25 characters to a service's name.
LONGEST = {"LLMInferenceService": 38}
# Kinds whose names end in a hash.
HASHED = frozenset({"Job", "LocalModelNamespaceCache"})
# Kinds whose names are DNS subdomains: the API server allows dots.
DOTTED = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})


@dataclass(frozen=True)
class Row:
    """An object: `{name}` in its name is the service's, a hash at its end is left out. `when` says which values render it."""

    kind: str
    name: str
    chart: str
    component: str
    when: Callable[[Values], bool]


@dataclass(frozen=True)
class External:
    """An object that a release refers to and does not render: the value path that names it, and who makes it."""

    kind: str
    path: str
    made_by: str
    name_of: Callable[[str], str] = lambda value: value


def at(values: Any, path: str) -> Iterator[Any]:
    """What stands at a dotted path; `*` is every key or item, and what is absent gives nothing."""
    if not path:
        yield values
        return
    head, _, rest = path.partition(".")
    if head == "*":
        for item in values.values() if isinstance(values, Mapping) else values if isinstance(values, list) else ():
            yield from at(item, rest)
    elif isinstance(values, Mapping) and head in values:
        yield from at(values[head], rest)


def one(values: Values, path: str) -> Any:
    """The only thing at a dotted path."""
    (found,) = at(values, path)
    return found


def _model(values: Values) -> bool:
    return bool(one(values, f"{MODEL_CHART}.enabled"))


def _controller(values: Values) -> bool:
    return bool(one(values, f"{CONTROLLER_CHART}.enabled"))


def _claim(values: Values) -> bool:
    return _cache(values) and not one(values, "global.llm.cache.existingClaim")


def _cache(values: Values) -> bool:
    return bool(one(values, "global.llm.cache.enabled") and not one(values, "global.llm.cache.nodeGroups"))


def _node_local(values: Values) -> bool:
    return bool(one(values, "global.llm.cache.enabled") and one(values, "global.llm.cache.nodeGroups"))


def _downloader(values: Values) -> bool:
    return bool(_cache(values) and not one(values, f"{CACHE_CHART}.serviceAccount.name"))


def _scaled(values: Values) -> bool:
    scaling = one(values, "global.llm.autoscaling")
    return bool(scaling["enabled"] and scaling["maxReplicas"] > scaling["minReplicas"])


def _scaled_prefill(values: Values) -> bool:
    prefill = one(values, "global.llm.prefill")
    scaling = prefill["autoscaling"]
    enabled = one(values, "global.llm.autoscaling.enabled") and prefill["enabled"]
    return bool(enabled and scaling["maxReplicas"] > scaling["minReplicas"])


def _authenticated(values: Values) -> bool:
    prometheus = one(values, "global.llm.autoscaling.prometheus")
    return bool((_scaled(values) or _scaled_prefill(values)) and (prometheus["secret"] or prometheus["caSecret"]))


def _budget(values: Values) -> bool:
    enabled = one(values, f"{MODEL_CHART}.podDisruptionBudget.enabled")
    return bool(_model(values) and enabled and (_scaled(values) or one(values, "global.llm.replicas") > 1))


def _prefill_budget(values: Values) -> bool:
    enabled = one(values, f"{MODEL_CHART}.podDisruptionBudget.enabled") and one(values, "global.llm.prefill.enabled")
    return bool(_model(values) and enabled and (_scaled_prefill(values) or one(values, "global.llm.prefill.replicas") > 1))


def _policy(values: Values) -> bool:
    return bool(_model(values) and one(values, f"{MODEL_CHART}.networkPolicy.enabled"))


def _account(values: Values) -> bool:
    return bool(_model(values) and one(values, f"{MODEL_CHART}.serviceAccount.create"))


def _metrics(values: Values) -> bool:
    return bool(_controller(values) and one(values, f"{CONTROLLER_CHART}.metrics.enabled"))


def _certificate(values: Values) -> bool:
    return bool(_controller(values) and one(values, f"{CONTROLLER_CHART}.certificates.certManager.enabled"))


def _issuer(values: Values) -> bool:
    return bool(_certificate(values) and not one(values, f"{CONTROLLER_CHART}.certificates.certManager.issuerRef.name"))


def _node_groups(values: Values) -> bool:
    return bool(_controller(values) and one(values, f"{CONTROLLER_CHART}.configuration.localModel.nodeGroups"))


def _several_controllers(values: Values) -> bool:
    return bool(_controller(values) and one(values, f"{CONTROLLER_CHART}.replicas") > 1)


def _presets(values: Values) -> bool:
    return bool(_controller(values) and one(values, f"{CONTROLLER_CHART}.presets.enabled"))


def _observed(part: str) -> Callable[[Values], bool]:
    """Whether a part of the observability chart is rendered."""

    def when(values: Values) -> bool:
        own = values[OBSERVING_CHART]
        return bool(own["enabled"] and own[part]["enabled"])

    return when


def _prefill_monitor(values: Values) -> bool:
    return bool(_observed("monitors")(values) and one(values, "global.llm.prefill.enabled"))


def _picker_monitor(values: Values) -> bool:
    return bool(_observed("monitors")(values) and _observed("endpointPicker")(values))


def _prefill_dashboard(values: Values) -> bool:
    return bool(_observed("dashboards")(values) and one(values, "global.llm.prefill.enabled"))


def _scaling_dashboard(values: Values) -> bool:
    return bool(_observed("dashboards")(values) and (_scaled(values) or _scaled_prefill(values)))


def _rules(form: str) -> Callable[[Values], bool]:
    return lambda values: bool(_observed("rules")(values) and one(values, f"{OBSERVING_CHART}.rules.format") == form)


SERVICES = "llminferenceservice.serving.kserve.io"
CONFIGS = "llminferenceserviceconfig.serving.kserve.io"
MANAGER = "llmisvc-controller-manager"

ROWS = (
    Row("LLMInferenceService", "{name}", MODEL_CHART, "llm-inference-service", _model),
    Row("ServiceAccount", "{name}", MODEL_CHART, "llm-inference-service", _account),
    Row("PodDisruptionBudget", "{name}", MODEL_CHART, "llm-inference-service", _budget),
    Row("PodDisruptionBudget", "{name}-prefill", MODEL_CHART, "llm-inference-service", _prefill_budget),
    Row("NetworkPolicy", "{name}", MODEL_CHART, "llm-inference-service", _policy),
    Row("ConfigMap", "{name}-plan", MODEL_CHART, "plan", _model),
    Row("Pod", "{name}-test", MODEL_CHART, "test", _model),
    Row("PersistentVolumeClaim", "{name}-models", CACHE_CHART, "model-cache", _claim),
    Row("LocalModelNamespaceCache", "{name}-models", CACHE_CHART, "model-cache", _node_local),
    Row("ConfigMap", "{name}-model-cache", CACHE_CHART, "model-cache", _cache),
    Row("Job", "{name}-download", CACHE_CHART, "download", _cache),
    Row("ServiceAccount", "{name}-download", CACHE_CHART, "download", _downloader),
    Row("Role", "{name}-download", CACHE_CHART, "download", _cache),
    Row("RoleBinding", "{name}-download", CACHE_CHART, "download", _cache),
    Row("ScaledObject", "{name}-kserve", SCALING_CHART, "autoscaling", _scaled),
    Row("ScaledObject", "{name}-kserve-prefill", SCALING_CHART, "autoscaling", _scaled_prefill),
    Row("TriggerAuthentication", "{name}-prometheus", SCALING_CHART, "autoscaling", _authenticated),
    Row("PodMonitor", "{name}", OBSERVING_CHART, "observability", _observed("monitors")),
    Row("PodMonitor", "{name}-prefill", OBSERVING_CHART, "observability", _prefill_monitor),
    Row("PodMonitor", "{name}-endpoint-picker", OBSERVING_CHART, "observability", _picker_monitor),
    Row("PrometheusRule", "{name}", OBSERVING_CHART, "observability", _rules("PrometheusRule")),
    Row("ConfigMap", "{name}-rules", OBSERVING_CHART, "observability", _rules("ConfigMap")),
    Row("ConfigMap", "{name}-dashboard-service", OBSERVING_CHART, "observability", _observed("dashboards")),
    Row("ConfigMap", "{name}-dashboard-engine", OBSERVING_CHART, "observability", _observed("dashboards")),
    Row("ConfigMap", "{name}-dashboard-disaggregation", OBSERVING_CHART, "observability", _prefill_dashboard),
    Row("ConfigMap", "{name}-dashboard-autoscaling", OBSERVING_CHART, "observability", _scaling_dashboard),
    Row("Deployment", MANAGER, CONTROLLER_CHART, "controller", _controller),
    Row("ServiceAccount", MANAGER, CONTROLLER_CHART, "controller", _controller),
    Row("PodDisruptionBudget", MANAGER, CONTROLLER_CHART, "controller", _several_controllers),
    Row("Service", f"{MANAGER}-service", CONTROLLER_CHART, "metrics", _metrics),
    Row("ClusterRole", "kserve-llmisvc-metrics-reader", CONTROLLER_CHART, "metrics", _metrics),
    Row("ClusterRole", "kserve-llmisvc-manager-role", CONTROLLER_CHART, "rbac", _controller),
    Row("ClusterRoleBinding", "llmisvc-manager-rolebinding", CONTROLLER_CHART, "rbac", _controller),
    Row("ConfigMap", "inferenceservice-config", CONTROLLER_CHART, "configuration", _controller),
    Row("LocalModelNodeGroup", "gpu-disks", CONTROLLER_CHART, "configuration", _node_groups),
    Row("Service", "llmisvc-webhook-server-service", CONTROLLER_CHART, "webhook", _controller),
    Row("MutatingWebhookConfiguration", SERVICES, CONTROLLER_CHART, "webhook", _controller),
    Row("ValidatingWebhookConfiguration", SERVICES, CONTROLLER_CHART, "webhook", _controller),
    Row("ValidatingWebhookConfiguration", CONFIGS, CONTROLLER_CHART, "webhook", _controller),
    Row("Certificate", "llmisvc-serving-cert", CONTROLLER_CHART, "webhook", _certificate),
    Row("Issuer", "llmisvc-selfsigned-issuer", CONTROLLER_CHART, "webhook", _issuer),
    *(
        Row(PRESET, f"kserve-config-llm-{name}", CONTROLLER_CHART, "preset", _presets)
        for name in (
            *("template", "worker-data-parallel", "decode-template", "decode-worker-data-parallel"),
            *("prefill-template", "prefill-worker-data-parallel"),
            *("router-route", "scheduler", "scheduler-latency-predictor", "tracing"),
        )
    ),
)

EXTERNALS = (
    External("Secret", "global.imagePullSecrets.*", "whoever runs the registry"),
    External("Secret", f"{CONTROLLER_CHART}.imagePullSecrets.*", "whoever runs the registry"),
    External("Secret", "global.llm.engine.env.*.valueFrom.secretKeyRef.name", "the user: tokens never enter values"),
    External("ConfigMap", "global.llm.engine.env.*.valueFrom.configMapKeyRef.name", "the user"),
    External("Secret", f"{MODEL_CHART}.extraVolumes.*.source.secret.secretName", "the user"),
    External("ConfigMap", f"{MODEL_CHART}.extraVolumes.*.source.configMap.name", "the user"),
    External("PersistentVolumeClaim", f"{MODEL_CHART}.extraVolumes.*.source.persistentVolumeClaim.claimName", "the user"),
    External("PersistentVolumeClaim", "global.llm.kvCacheOffloading.existingClaim", "the user"),
    External("ServiceAccount", f"{MODEL_CHART}.serviceAccount.name", "the user, with serviceAccount.create: false"),
    External("PersistentVolumeClaim", "global.llm.cache.existingClaim", "the user"),
    External("Secret", "global.llm.cache.env.*.valueFrom.secretKeyRef.name", "the user: tokens never enter values"),
    External("ConfigMap", "global.llm.cache.env.*.valueFrom.configMapKeyRef.name", "the user"),
    External("ServiceAccount", f"{CACHE_CHART}.serviceAccount.name", "the user"),
    External("Secret", "global.llm.autoscaling.prometheus.secret", "whoever runs Prometheus"),
    External("Secret", "global.llm.autoscaling.prometheus.caSecret", "whoever runs Prometheus"),
    External("LocalModelNodeGroup", "global.llm.cache.nodeGroups.*", "the platform plane"),
    External("Secret", f"{OBSERVING_CHART}.endpointPicker.tokenSecret.name", "the cluster's admin, who may grant /metrics"),
    External("ConfigMap", f"{CACHE_CHART}.caBundle.configMap", "whoever runs the authority"),
    External(
        "PersistentVolumeClaim",
        "global.llm.models.*.uri",
        "the user: pvc:// names a claim that is filled already",
        lambda uri: uri.removeprefix("pvc://").split("/")[0] if uri.startswith("pvc://") else "",
    ),
    External("Secret", f"{CONTROLLER_CHART}.certificates.existingSecret.name", "whoever keeps the certificate"),
)

# What no values file has of chart kserve-controller: several controllers, and disks of nodes.
NODE_GROUPS = {"gpu-disks": {"nodeSelector": {"example.com/disk": "nvme"}, "path": "/mnt/models", "storageLimit": "1Ti"}}
MORE = {
    "replicas": 2,
    "certificates": {"certManager": {"enabled": True}},
    "configuration": {"localModel": {"enabled": True, "nodeGroups": NODE_GROUPS}},
}

# Containers that are less than restricted as rendered: `Kind/component/container`, and why the pod is restricted all the same.
POD_SECURITY_EXEMPTIONS = {
    "LLMInferenceService/llm-inference-service/main": "KServe's preset gives the engine's container its securityContext, which "
    "a service cannot repeat without replacing it; tests/invariants/test_pods.py reads it in the preset, and "
    "tests/controlplane in the merged pod",
    "LLMInferenceService/llm-inference-service/llm-d-routing-sidecar": "likewise: KServe's preset has the securityContext",
}


def overlay(below: Any, above: Any) -> Any:
    """Values laid over values, as Helm does it."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        merged = dict(below)
        for key, value in above.items():
            merged[key] = overlay(below[key], value) if key in below else value
        return merged
    return above


@cache
def _values(scenario: Scenario) -> Values:
    defaults = schemas.values(schemas.UMBRELLA)
    for chart in schemas.charts():
        if chart != schemas.UMBRELLA:
            defaults[chart] = overlay(schemas.values(chart), defaults.get(chart, {}))
    merged: Values = overlay(defaults, documents.load(scenario.file.read_text()))
    return merged


def effective_values(scenario: Scenario) -> Values:
    """What the templates of the umbrella and of its subcharts see."""
    return _values(scenario)


def release(scenario: Scenario, **options: Any) -> Manifests:
    """The umbrella chart with a scenario's values; `options` as of `render`."""
    return render(options.pop("chart", schemas.UMBRELLA), scenario.file, name=RELEASE, namespace=scenario.namespace, **options)


def key(obj: Any) -> str:
    """`Kind/name` of an object, as in the table: without the hash of a Job's spec, or of a cache's uri."""
    name = obj["metadata"]["name"]
    return f"{obj['kind']}/{re.sub(r'-[0-9a-f]{8}$', '', name) if obj['kind'] in HASHED else name}"


def rows(scenario: Scenario) -> dict[str, Row]:
    """`Kind/name` of every object that the scenario must render, with its row."""
    values = effective_values(scenario)
    name = one(values, "global.llm.name") or RELEASE
    return {f"{row.kind}/{row.name.format(name=name)}": row for row in ROWS if row.when(values)}


def externals(scenario: Scenario) -> set[str]:
    """`Kind/name` of what the scenario's values name and others make."""
    values = effective_values(scenario)
    return {
        f"{entry.kind}/{entry.name_of(value)}" for entry in EXTERNALS for value in at(values, entry.path) if entry.name_of(value)
    }
