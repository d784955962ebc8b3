"""Prometheus for the local cluster: it finds pods by annotations and names them as the Prometheus Operator would."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping

from hack import cached, documents, versions
from hack.kube import READ_ONLY, Cluster, Object

NAMESPACE = "monitoring"
NAME = "prometheus"
# As the Prometheus Operator always names it, whatever chart it came with.
SERVICE, PORT = "prometheus-operated", 9090
RULES = "prometheus-rules"
USER = 65534
# Labels of pods that are labels of their series: what a PodMonitor lists as podTargetLabels.
POD_LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/component", "llm-d.ai/role", "kserve.io/component")
SELECTOR = f"app.kubernetes.io/name={NAME}"
_LABELS = {"app.kubernetes.io/name": NAME}


def label(name: str) -> str:
    """The label of a series that a label of its pod becomes."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


def configuration() -> Object:
    """prometheus.yml: pods with the annotations prometheus.io/scrape, /port, /path and /scheme."""
    meta = "__meta_kubernetes_pod"
    annotation = f"{meta}_annotation_prometheus_io"
    relabel: list[Object] = [
        {"action": "keep", "source_labels": [f"{annotation}_scrape"], "regex": "true"},
        # Each declared port is a target: the annotated one alone, so that its container is the one that is asked.
        {"action": "keepequal", "source_labels": [f"{annotation}_port"], "target_label": f"{meta}_container_port_number"},
        {"action": "drop", "source_labels": [f"{meta}_phase"], "regex": "Failed|Succeeded"},
        {"source_labels": [f"{annotation}_scheme"], "regex": "(https?)", "target_label": "__scheme__"},
        {"source_labels": [f"{annotation}_path"], "regex": "(.+)", "target_label": "__metrics_path__"},
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": [f"{meta}_name"], "target_label": "pod"},
        {"source_labels": [f"{meta}_container_name"], "target_label": "container"},
    ]
    for name in map(label, POD_LABELS):
        relabel.append({"source_labels": [f"{meta}_label_{name}"], "regex": "(.+)", "target_label": name})
    return {
        "global": {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "5s"},
        "rule_files": ["/etc/prometheus/rules/*.yaml"],
        "scrape_configs": [
            {
                "job_name": "pods",
                "kubernetes_sd_configs": [{"role": "pod"}],
                # As a PodMonitor's TLS without a CA: certificates of pods are their own.
                "tls_config": {"insecure_skip_verify": True},
                "relabel_configs": relabel,
            }
        ],
    }


def objects() -> list[Object]:
    """Everything but its namespace."""
    text = documents.dump(configuration(), sort_keys=False)
    pods: Object = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME}
    return [
        _named("v1", "ServiceAccount"),
        {**_named("rbac.authorization.k8s.io/v1", "ClusterRole", ""), "rules": [pods]},
        {**_named("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", ""), "roleRef": role, "subjects": [account]},
        {**_named("v1", "ConfigMap"), "data": {"prometheus.yml": text}},
        {
            **_named("v1", "Service", name=SERVICE),
            "spec": {"selector": _LABELS, "ports": [{"name": "http", "port": PORT, "targetPort": "http"}]},
        },
        {
            **_named("apps/v1", "Deployment"),
            "spec": {
                "replicas": 1,
                # Two at once would scrape everything twice for nothing: what one has is not kept for the next.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": _LABELS},
                "template": {
                    "metadata": {"labels": _LABELS, "annotations": {"llm-stack.io/configuration": cached.key(text)}},
                    "spec": _pod(),
                },
            },
        },
    ]


def rules(files: Mapping[str, str]) -> tuple[Object, str]:
    """The ConfigMap of rule files, and the group by which one sees that Prometheus has read just these."""
    group = f"content-{cached.key(dict(files))}"
    rule = {"record": "prometheus_rules_content", "expr": "vector(1)"}  # a group without rules is not listed
    marker = documents.dump({"groups": [{"name": group, "rules": [rule]}]})
    config_map = _named("v1", "ConfigMap", name=RULES)
    return {**config_map, "data": {**files, "content.yaml": marker}}, group


def ask(cluster: Cluster, path: str, *, check: bool = True, **parameters: str) -> str:
    """What Prometheus answers to GET `path` (`api/v1/query` with `query=…`), through the API server."""
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    service = f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}:http/proxy"
    return cluster.kubectl("get", "--raw", f"{service}/{path}{query}", check=check)


def _named(api_version: str, kind: str, namespace: str = NAMESPACE, name: str = NAME) -> Object:
    metadata = {"name": name, "labels": dict(_LABELS)} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _pod() -> Object:
    container = {
        "name": NAME,
        "image": versions.images()[NAME].ref,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            "--config.file=/etc/prometheus/prometheus.yml",
            # Rules that change are read without a restart, which would lose what was scraped.
            "--config.auto-reload",
            "--config.auto-reload-interval=5s",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=2h",
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": READ_ONLY,
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/etc/prometheus/prometheus.yml", "subPath": "prometheus.yml"},
            {"name": "rules", "mountPath": "/etc/prometheus/rules"},
            {"name": "data", "mountPath": "/prometheus"},
        ],
    }
    return {
        "serviceAccountName": NAME,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "configuration", "configMap": {"name": NAME}},
            {"name": "rules", "configMap": {"name": RULES, "optional": True}},
            {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
    }
