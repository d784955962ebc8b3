"""Our controller chart against what the pinned KServe ships: every difference has a reason here, and a stale reason fails.

A difference reads `- what` (upstream has it, we do not) or `+ what` (the other way round).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hack import documents, gobuild, presets, versions
from tests.harness import Manifests, render, thaw

CHART = "kserve-controller"
WITH_CERT_MANAGER = {"certificates": {"certManager": {"enabled": True}}}
# What upstream's kustomization fills in.
PLACEHOLDERS = {
    "$(webhookServiceName)": "llmisvc-webhook-server-service",
    "$(kserveNamespace)": "kserve",
    "$(llmisvc-serviceAccountName)": "llmisvc-controller-manager",
}

LEAST_PRIVILEGE = "no code of the llmisvc controller does it (pkg/controller/v1alpha2/llmisvc, cmd/llmisvc)"
GRANTED_ONLY = "only handed on, for reading, in the endpoint picker's Role (scheduler.go, expectedSchedulerRole)"
INFORMER_ONLY = "only watched (controller.go, Owns and Watches), never written"
OUR_SELECTOR = "selectors are the two labels of the library chart, as in every other chart"


def upstream(path: str) -> list[dict[str, Any]]:
    """The documents of one file below the module's config folder, placeholders filled in."""
    text = (gobuild.module_dir("kserve") / "config" / path).read_text()
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return [document for document in documents.load_all(text) if document]


def source(path: str) -> str:
    """A Go file, or all Go files of a folder without their tests, as one text."""
    found = gobuild.module_dir("kserve") / path
    files = [found] if found.is_file() else sorted(f for f in found.glob("*.go") if not f.name.endswith("_test.go"))
    return "\n".join(file.read_text() for file in files)


def ours(**configuration: Any) -> Manifests:
    values: dict[str, Any] = {**WITH_CERT_MANAGER}
    if configuration:
        values["configuration"] = configuration
    return render(CHART, values=values, namespace="kserve")


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """`path=value` of every leaf; entries of a list are told apart by their name where they have one."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}[{item.get('name', number)}]")
    elif isinstance(value, list):
        for item in value:
            yield f"{path}={json.dumps(item)}"
    else:
        yield f"{path}={json.dumps(value)}"


def differences(theirs: Iterable[str], mine: Iterable[str]) -> set[str]:
    theirs, mine = set(theirs), set(mine)
    return {f"- {item}" for item in theirs - mine} | {f"+ {item}" for item in mine - theirs}


def assert_declared(found: set[str], declared: Mapping[str, str]) -> None:
    assert sorted(found - set(declared)) == [], "differs from upstream and no reason is given"
    assert sorted(set(declared) - found) == [], "declared, but there is no such difference (any more)"


def test_objects() -> None:
    files = [
        "llmisvc/manager.yaml",
        "llmisvc/service.yaml",
        "llmisvc/gateway-inference-extension.yaml",
        "webhook/llmisvc/service.yaml",
        "webhook/llmisvc/manifests.yaml",
        "certmanager/llmisvc/certificate.yaml",
        "configmap/inferenceservice.yaml",
        *(f"rbac/llmisvc/{name}" for name in upstream("rbac/llmisvc/kustomization.yaml")[0]["resources"]),
        *(f"crd/full/llmisvc/{name}" for name in upstream("crd/full/llmisvc/kustomization.yaml")[0]["resources"]),
        *(f"llmisvcconfig/{name}" for name in upstream("llmisvcconfig/kustomization.yaml")[0]["resources"]),
    ]
    theirs = {f"{obj['kind']}/{obj['metadata']['name']}" for file in files for obj in upstream(file)}
    crds = "CustomResourceDefinition/"
    assert_declared(
        {item for item in differences(theirs, ours().names()) if not item.startswith(f"- {crds}")},
        {
            "- Role/llmisvc-leader-election-role": "the ClusterRole holds more on leases, for the endpoint picker",
            "- RoleBinding/llmisvc-leader-election-rolebinding": "as the Role that it binds",
            "+ Issuer/llmisvc-selfsigned-issuer": "upstream leaves it to another folder; a name of its own, not to meet that one",
            "+ ClusterRole/kserve-llmisvc-metrics-reader": "whoever scrapes needs it; upstream's metrics cannot be scraped",
        },
    )
    # CRDs are in no release (they are applied from upstream's files): only upstream has any.
    assert [name for name in ours().names() if name.startswith(crds)] == []


def grants(rules: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """`group/resource` (with the object names that it is limited to) to verbs."""
    found: dict[str, set[str]] = defaultdict(set)
    for rule in rules:
        for url in rule.get("nonResourceURLs", ()):
            found[url] |= set(rule["verbs"])
        limit = f" ({', '.join(sorted(rule['resourceNames']))})" if "resourceNames" in rule else ""
        for group in rule.get("apiGroups", ()):
            for resource in rule["resources"]:
                found[f"{group or 'core'}/{resource}{limit}"] |= set(rule["verbs"])
    return found


def grant_differences(theirs: Mapping[str, set[str]], mine: Mapping[str, set[str]]) -> set[str]:
    found = set()
    for key in {*theirs, *mine}:
        for sign, verbs in (
            ("-", theirs.get(key, set()) - mine.get(key, set())),
            ("+", mine.get(key, set()) - theirs.get(key, set())),
        ):
            if verbs:
                found.add(f"{sign} {key}: {' '.join(sorted(verbs))}")
    return found


WRITE = "create delete patch update"
OWN_CRDS = "(llminferenceserviceconfigs.serving.kserve.io, llminferenceservices.serving.kserve.io)"
RIGHTS = {
    "- /metrics: get": "a right of the scraper, not of the controller: ClusterRole kserve-llmisvc-metrics-reader",
    "- authentication.k8s.io/subjectaccessreviews: create": "there is no such resource; the one in authorization.k8s.io is kept",
    f"- apiextensions.k8s.io/customresourcedefinitions {OWN_CRDS}: list watch": "the storage version migrator only gets them",
    f"- apiextensions.k8s.io/customresourcedefinitions/status {OWN_CRDS}: update": "the storage version migrator only patches it",
    f"- gateway.networking.k8s.io/gatewayclasses: {WRITE}": "only read (router_discovery.go)",
    f"- gateway.networking.k8s.io/gateways: {WRITE}": "only read and watched; Gateways belong to the platform",
    f"- inference.networking.k8s.io/inferencemodels: {WRITE}": GRANTED_ONLY,
    f"- inference.networking.k8s.io/inferenceobjectives: {WRITE}": GRANTED_ONLY,
    f"- inference.networking.x-k8s.io/inferencemodelrewrites: {WRITE}": GRANTED_ONLY,
    f"- inference.networking.x-k8s.io/inferencemodels: {WRITE}": GRANTED_ONLY,
    f"- inference.networking.x-k8s.io/inferenceobjectives: {WRITE}": GRANTED_ONLY,
    f"- inference.networking.x-k8s.io/inferencepoolimports: {WRITE}": GRANTED_ONLY,
    f"- networking.k8s.io/ingresses: {WRITE}": INFORMER_ONLY,
    "- resource.k8s.io/resourceclaims: create delete get list patch update watch": "only claim templates are made",
    "- serving.kserve.io/llminferenceserviceconfigs: create delete": LEAST_PRIVILEGE,
    "- serving.kserve.io/llminferenceservices: create delete": LEAST_PRIVILEGE,
}
CA_BUNDLE_RIGHTS = {
    "+ core/configmaps: create": "copies of the CA bundle; upstream's role lacks it, so that caBundleConfigMapName fails there",
    "+ core/configmaps (global-ca-bundle): update": "the same, when the bundle changes",
}


@pytest.mark.parametrize(
    ("storage", "declared"),
    [({}, RIGHTS), ({"caBundle": {"configMap": "company-ca"}}, {**RIGHTS, **CA_BUNDLE_RIGHTS})],
    ids=["default", "caBundle"],
)
def test_rights(storage: Mapping[str, Any], declared: Mapping[str, str]) -> None:
    theirs = grants(upstream("rbac/llmisvc/role.yaml")[0]["rules"])
    mine = grants(ours(storageInitializer=storage).one("ClusterRole", "kserve-llmisvc-manager-role")["rules"])
    assert_declared(grant_differences(theirs, mine), declared)


def test_rights_cover_what_is_granted_on() -> None:
    """KServe can grant no right that it lacks: the Roles in its source, and ClusterRole system:auth-delegator."""
    mine = grants(ours().one("ClusterRole", "kserve-llmisvc-manager-role")["rules"])
    constants = dict(re.findall(r'(\w+)\s*=\s*"([\w.-]+)"', source("pkg/constants")))
    rule = re.compile(r"\{APIGroups: \[\]string\{(.*?)\}, Resources: \[\]string\{(.*?)\}, Verbs: \[\]string\{(.*?)\}\}")
    granted = [
        tuple(
            [
                constants[word.removeprefix("constants.")] if word.startswith("constants.") else word.strip('"')
                for word in part.split(", ")
            ]
            for part in match
        )
        for match in rule.findall(source("pkg/controller/v1alpha2/llmisvc"))
    ]
    assert len(granted) == 8, "the Roles in KServe's source have changed: see scheduler.go and workload.go"
    granted += [
        (["authentication.k8s.io"], ["tokenreviews"], ["create"]),
        (["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
    ]
    missing = {
        f"{group or 'core'}/{resource}: {verb}"
        for groups, resources, verbs in granted
        for group in groups
        for resource in resources
        for verb in verbs
        if verb not in mine.get(f"{group or 'core'}/{resource}", set())
    }
    assert missing == set()


def test_role_binding() -> None:
    theirs = upstream("rbac/llmisvc/clusterrolebinding.yaml")[0]
    mine = thaw(ours().one("ClusterRoleBinding"))
    assert (mine["roleRef"], mine["subjects"]) == (theirs["roleRef"], theirs["subjects"])


PRESET_SELECTOR = "our presets are created before the webhook serves; whatever carries the label is not validated"
CONFIGS = "llminferenceserviceconfig.kserve-webhook-server"
WEBHOOK_DIFFERENCES = {
    ("MutatingWebhookConfiguration", "llminferenceservice.serving.kserve.io"): {},
    ("ValidatingWebhookConfiguration", "llminferenceservice.serving.kserve.io"): {},
    ("ValidatingWebhookConfiguration", "llminferenceserviceconfig.serving.kserve.io"): {
        f"+ [{CONFIGS}.{version}.validator].objectSelector.matchExpressions[0].{leaf}": PRESET_SELECTOR
        for version in ("v1alpha1", "v1alpha2")
        for leaf in ('key="llm-stack.io/preset"', 'operator="DoesNotExist"')
    },
}


def test_webhooks() -> None:
    theirs = {(obj["kind"], obj["metadata"]["name"]): obj for obj in upstream("webhook/llmisvc/manifests.yaml")}
    assert set(theirs) == set(WEBHOOK_DIFFERENCES)
    for (kind, name), declared in WEBHOOK_DIFFERENCES.items():
        mine = thaw(ours().one(kind, name))["webhooks"]
        for webhook in mine:
            assert webhook["clientConfig"]["service"].pop("port") == 443  # the API server's default, said aloud
        assert_declared(differences(leaves(theirs[kind, name]["webhooks"]), leaves(mine)), declared)


def test_certificate_injection() -> None:
    """cert-manager's annotation on the webhooks, and on the CRDs that upstream ships, names our Certificate."""
    crd = upstream("crd/full/llmisvc/llmisvc_conversion_webhook_patch.yaml")[0]
    certificate = ours().one("Certificate")["metadata"]
    name = f"{certificate['namespace']}/{certificate['name']}"
    objects = [crd, *ours().all("MutatingWebhookConfiguration"), *ours().all("ValidatingWebhookConfiguration")]
    assert [obj["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] for obj in objects] == [name] * 4
    service = crd["spec"]["conversion"]["webhook"]["clientConfig"]["service"]
    mine = ours().one("Service", service["name"])
    assert (mine["metadata"]["namespace"], mine["spec"]["ports"][0]["port"]) == (service["namespace"], service["port"])


def test_certificate() -> None:
    theirs, mine = upstream("certmanager/llmisvc/certificate.yaml")[0]["spec"], thaw(ours().one("Certificate"))["spec"]
    assert_declared(
        differences(leaves(theirs), leaves(mine)),
        {
            '- issuerRef.name="selfsigned-issuer"': "upstream's is shared with its other charts",
            '+ issuerRef.name="llmisvc-selfsigned-issuer"': "this release's own",
            '+ issuerRef.group="cert-manager.io"': "the default, said aloud because it is a value",
        },
    )


@pytest.mark.parametrize(
    ("file", "declared"),
    [
        (
            "webhook/llmisvc/service.yaml",
            {
                '- selector.control-plane="llmisvc-controller-manager"': OUR_SELECTOR,
                '+ selector.app.kubernetes.io/name="llmisvc-controller-manager"': OUR_SELECTOR,
                '+ selector.app.kubernetes.io/instance="demo"': OUR_SELECTOR,
                '+ ports[https].protocol="TCP"': "the default, said aloud: Helm 4 compares list entries by it",
            },
        ),
        (
            "llmisvc/service.yaml",
            {
                '- selector.control-plane="llmisvc-controller-manager"': OUR_SELECTOR,
                '- selector.controller-tools.k8s.io="1.0"': OUR_SELECTOR,
                '+ selector.app.kubernetes.io/name="llmisvc-controller-manager"': OUR_SELECTOR,
                '+ selector.app.kubernetes.io/instance="demo"': OUR_SELECTOR,
            },
        ),
    ],
    ids=["webhook", "metrics"],
)
def test_services(file: str, declared: Mapping[str, str]) -> None:
    theirs = upstream(file)[0]
    mine = thaw(ours().one("Service", theirs["metadata"]["name"]))
    assert_declared(differences(leaves(theirs["spec"]), leaves(mine["spec"])), declared)


CONTAINER = "containers[manager]"
READINESS = "readiness is a connection to the webhooks' port: /readyz answers before they do"
LIVENESS = "no initial delay; a minute of grace by the threshold"
DEPLOYMENT = {
    f'- {CONTAINER}.image="ko://github.com/kserve/kserve/cmd/llmisvc"': "a value",
    f'+ {CONTAINER}.image="docker.io/kserve/llmisvc-controller:v0.20.0"': "a value",
    f'- {CONTAINER}.imagePullPolicy="Always"': "a pinned tag need not be asked for again; works where no registry can be reached",
    f'+ {CONTAINER}.imagePullPolicy="IfNotPresent"': "a value",
    f'- {CONTAINER}.args="--metrics-addr=127.0.0.1:8443"': "cannot be scraped from outside the pod",
    f'+ {CONTAINER}.args="--metrics-addr=:8443"': "HTTPS with authentication and authorization, which is the binary's default",
    f'- {CONTAINER}.args="--leader-elect"': "only with more than one replica: a starved single one would end by its lost lease",
    f'+ {CONTAINER}.args="--zap-log-level=info"': "a value",
    f"- {CONTAINER}.readinessProbe.initialDelaySeconds=30": READINESS,
    f'- {CONTAINER}.readinessProbe.httpGet.path="/readyz"': READINESS,
    f"- {CONTAINER}.readinessProbe.httpGet.port=8081": READINESS,
    f"- {CONTAINER}.readinessProbe.periodSeconds=5": READINESS,
    f"- {CONTAINER}.readinessProbe.timeoutSeconds=5": READINESS,
    f"- {CONTAINER}.readinessProbe.failureThreshold=5": READINESS,
    f'+ {CONTAINER}.readinessProbe.tcpSocket.port="webhook-server"': READINESS,
    f"+ {CONTAINER}.readinessProbe.periodSeconds=2": READINESS,
    f"+ {CONTAINER}.readinessProbe.timeoutSeconds=2": READINESS,
    f"+ {CONTAINER}.readinessProbe.failureThreshold=3": READINESS,
    f"- {CONTAINER}.livenessProbe.initialDelaySeconds=30": LIVENESS,
    f"- {CONTAINER}.livenessProbe.failureThreshold=5": LIVENESS,
    f"+ {CONTAINER}.livenessProbe.failureThreshold=6": LIVENESS,
    f"- {CONTAINER}.livenessProbe.httpGet.port=8081": "by the port's name",
    f'+ {CONTAINER}.livenessProbe.httpGet.port="health"': "by the port's name",
    f"+ {CONTAINER}.ports[health].containerPort=8081": "the probe's port, named",
    f'+ {CONTAINER}.ports[health].name="health"': "the probe's port, named",
    f'+ {CONTAINER}.ports[health].protocol="TCP"': "the probe's port, named",
    f"+ {CONTAINER}.lifecycle.preStop.sleep.seconds=5": "the process closes its listener at once on SIGTERM",
    f'- {CONTAINER}.resources.limits.cpu="100m"': "a throttled webhook fails calls to the API server",
    f'- {CONTAINER}.resources.requests.memory="300Mi"': "it uses 93 to 122 MiB",
    f'+ {CONTAINER}.resources.requests.memory="128Mi"': "it uses 93 to 122 MiB",
    "- volumes[cert].secret.defaultMode=420": "the API server's default",
    "+ automountServiceAccountToken=true": "the ServiceAccount says false, so that nothing else gets the token by chance",
}


def test_deployment() -> None:
    theirs, mine = upstream("llmisvc/manager.yaml")[0], thaw(ours().one("Deployment"))
    pods = [obj["spec"]["template"]["spec"] for obj in (theirs, mine)]
    assert_declared(differences(leaves(pods[0]), leaves(pods[1])), DEPLOYMENT)
    assert mine["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": theirs["metadata"]["labels"]["app.kubernetes.io/name"],
        "app.kubernetes.io/instance": "demo",
    }


def test_arguments_are_flags_of_the_binary() -> None:
    main = source("cmd/llmisvc/main.go")
    flags = set(re.findall(r'flag\.\w+Var\(&[\w.]+, "([\w-]+)"', main))
    assert "zapOpts.BindFlags(flag.CommandLine)" in main
    flags |= {"zap-log-level"}  # controller-runtime's, bound there
    everything = render(CHART, values={**WITH_CERT_MANAGER, "replicas": 2}, namespace="kserve")
    arguments = thaw(everything.one("Deployment"))["spec"]["template"]["spec"]["containers"][0]["args"]
    assert {argument.removeprefix("--").split("=")[0] for argument in arguments} - flags == set()


# --- configuration map ------------------------------------------------------------------------------------------------

# The functions by which the controller and its webhooks read the ConfigMap, and the key that each reads.
READERS = {
    "NewIngressConfig": "ingress",
    "GetStorageInitializerConfigs": "storageInitializer",
    "GetCredentialConfig": "credentials",
    "NewSchedulerConfig": "scheduler",
    "NewLocalModelConfig": "localModel",
}
READ_BY_NAME = {"autoscaling-wva-controller-config"}
NOT_CARRIED = {"scheduler": "only the annotation that the age of a certificate is kept in; the controller's default is right"}
EVERYTHING: dict[str, Any] = {
    "autoscaling": {"prometheus": {"url": "https://prometheus:9090", "authModes": "bearer", "triggerAuthName": "prometheus"}},
    "localModel": {"enabled": True},
}


def configuration(manifests: Manifests) -> dict[str, Any]:
    return {key: json.loads(text) for key, text in manifests.one("ConfigMap", "inferenceservice-config")["data"].items()}


def test_configuration_keys_are_those_that_the_controller_reads() -> None:
    code = source("pkg/controller/v1alpha2/llmisvc") + source("pkg/webhook/admission/llminferenceservice") + source("cmd/llmisvc")
    called = set(re.findall(r"(\w+)\((?:isvcConfigMap|configMap)\)", code)) - {"toConfig"}
    assert called == set(READERS)
    assert f'autoscalingConfigName = "{min(READ_BY_NAME)}"' in code
    assert set(re.findall(r"Data\[(\w+)\]", code)) == {"schedulerConfigMapKey", "autoscalingConfigName"}
    assert set(configuration(ours(**EVERYTHING))) == ({*READERS.values()} | READ_BY_NAME) - set(NOT_CARRIED)


def tags(path: str, struct: str) -> set[str]:
    """The JSON names of a Go struct's fields."""
    body = re.search(rf"^type {struct} struct \{{\n(.*?)^\}}", source(path), re.M | re.S)
    assert body, f"{path} has no struct {struct}"
    return set(re.findall(r'`json:"([\w-]+)', body[1]))


NOT_LLMISVC = "read only for InferenceService"
FIELDS = [
    (
        ("ingress",),
        ("pkg/apis/serving/v1beta1/configmap.go", "IngressConfig"),
        {
            "knativeLocalGatewayService": NOT_LLMISVC,
            "localGateway": NOT_LLMISVC,
            "localGatewayService": NOT_LLMISVC,
            "ingressDomain": f"{NOT_LLMISVC}; hosts of a service come from the Gateway's listeners and the route",
            "ingressClassName": NOT_LLMISVC,
            "additionalIngressDomains": NOT_LLMISVC,
            "domainTemplate": NOT_LLMISVC,
            "disableIstioVirtualHost": NOT_LLMISVC,
            "pathTemplate": NOT_LLMISVC,
            "disableIngressCreation": NOT_LLMISVC,
            "disableHTTPRouteTimeout": NOT_LLMISVC,
        },
    ),
    (
        ("storageInitializer",),
        ("pkg/types/config.go", "StorageInitializerConfig"),
        {
            "enableModelcar": "older switch of ociModelMode, which wins",
            "enableOciModelSupport": "older switch of ociModelMode, which wins",
        },
    ),
    (
        ("credentials",),
        ("pkg/credentials/service_account_credentials.go", "CredentialConfig"),
        {"gcs": "one file name, whose default is right", "storageSpecSecretName": f"{NOT_LLMISVC} (spec.storage)"},
    ),
    (("credentials", "s3"), ("pkg/credentials/s3/s3_secret.go", "S3Config"), {}),
    (("autoscaling-wva-controller-config",), ("pkg/controller/v1alpha2/llmisvc/config_loader.go", "WVAAutoscalingConfig"), {}),
    (
        ("autoscaling-wva-controller-config", "prometheus"),
        ("pkg/controller/v1alpha2/llmisvc/config_loader.go", "PrometheusConfig"),
        {},
    ),
    (("localModel",), ("pkg/apis/serving/v1beta1/configmap.go", "LocalModelConfig"), {}),
]


@pytest.mark.parametrize(("key", "struct", "omitted"), FIELDS, ids=[".".join(field[0]) for field in FIELDS])
def test_configuration_fields_are_those_of_the_source(
    key: tuple[str, ...], struct: tuple[str, str], omitted: Mapping[str, str]
) -> None:
    """A field that KServe does not know would be ignored without a word, a new one would be missed."""
    mine = configuration(ours(**EVERYTHING))
    for part in key:
        mine = mine[part]
    assert set(mine) | set(omitted) == tags(*struct)
    assert set(mine) & set(omitted) == set()


def test_configuration_values() -> None:
    theirs = {
        key: json.loads(text) for key, text in upstream("configmap/inferenceservice.yaml")[0]["data"].items() if key != "_example"
    }
    mine = configuration(ours(localModel={"enabled": True}))
    shared = {key: {field: theirs[key][field] for field in mine[key] if field in theirs[key]} for key in mine}
    reasons = {
        "- ingress.enableGatewayApi=false": "services are routed by Gateway API only",
        "+ ingress.enableGatewayApi=true": "services are routed by Gateway API only",
        '- ingress.ingressGateway="knative-serving/knative-ingress-gateway"': "Istio's; the parser only wants some text",
        '+ ingress.ingressGateway="unused/unused"': "Istio's; the parser only wants some text",
        "+ ingress.enableLLMInferenceServiceTLS=false": "upstream's default, a value here",
        '+ ingress.modelBasedRoutingMode="enabled"': "upstream's default, a value here",
        '+ ingress.modelBasedRoutingHeaderName="X-Gateway-Model-Name"': "upstream's default, a value here",
        '- storageInitializer.image="kserve/storage-initializer:latest"': "a moving tag",
        '+ storageInitializer.image="docker.io/kserve/storage-initializer:v0.20.0"': "the controller's version",
        '- storageInitializer.memoryRequest="100Mi"': "too little for a download of a large model",
        '+ storageInitializer.memoryRequest="1Gi"': "too little for a download of a large model",
        '- storageInitializer.memoryLimit="1Gi"': "kills downloads of large models",
        '+ storageInitializer.memoryLimit="8Gi"': "kills downloads of large models",
        '- storageInitializer.cpuLimit="1"': "throttles downloads",
        '+ storageInitializer.cpuLimit="4"': "throttles downloads",
        '+ storageInitializer.ociModelMode="modelcar"': "what upstream's enableModelcar stands for",
        "- localModel.enabled=false": "switched on for this comparison",
        "+ localModel.enabled=true": "switched on for this comparison",
        '- localModel.defaultJobImage="kserve/storage-initializer:latest"': "a moving tag",
        '+ localModel.defaultJobImage="docker.io/kserve/storage-initializer:v0.20.0"': "the storage initializer's",
    }
    assert_declared(differences(leaves(shared), leaves(mine)), reasons)


# --- presets ----------------------------------------------------------------------------------------------------------


def in_gos_form(node: Any, inside: bool = False) -> Any:
    """A document with every quantity as Go writes it."""
    if isinstance(node, Mapping):
        return {
            key: presets.canonical(str(value))
            if not isinstance(value, Mapping | list) and (inside or key == "sizeLimit")
            else in_gos_form(value, key in ("limits", "requests"))
            for key, value in node.items()
        }
    return [in_gos_form(item) for item in node] if isinstance(node, list) else node


def test_presets_are_upstreams() -> None:
    """Every character of every preset's spec, KServe's own templating included, but for the spelling of quantities."""
    names = upstream("llmisvcconfig/kustomization.yaml")[0]["resources"]
    theirs = {obj["metadata"]["name"]: obj for name in names for obj in upstream(f"llmisvcconfig/{name}")}
    mine = {obj["metadata"]["name"]: thaw(obj) for obj in ours().all("LLMInferenceServiceConfig")}
    assert set(mine) == set(theirs)
    for name, preset in mine.items():
        assert preset["apiVersion"] == theirs[name]["apiVersion"]
        assert preset["spec"] == in_gos_form(theirs[name]["spec"])


@pytest.mark.parametrize(
    ("written", "go"),
    [("6", "6"), ("2000m", "2"), ("250m", "250m"), ("1000", "1k"), ("1024Mi", "1Gi"), ("500Mi", "500Mi"), ("0", "0")],
)
def test_quantities_in_gos_form(written: str, go: str) -> None:
    assert presets.canonical(written) == go


def test_presets_are_all_that_the_controller_looks_for() -> None:
    code = source("pkg/controller/v1alpha2/llmisvc/config_merge.go")
    suffixes = dict(re.findall(r'(config\w+NameSuffix)\s*= "([\w-]+)"', code))
    body = re.search(r"^var WellKnownDefaultConfigs = .*?\{?\n(.*?)^\)", code, re.M | re.S)
    assert body
    wanted = {"kserve-" + suffixes[f"{name}Suffix"] for name in re.findall(r"(config\w+Name),", body[1])}
    assert {obj["metadata"]["name"] for obj in ours().all("LLMInferenceServiceConfig")} == wanted


def test_notice_names_the_pinned_version(tmp_path: Path) -> None:
    written = presets.write(tmp_path)
    assert f"kserve {versions.go_modules()['kserve'].version} " in (tmp_path / "presets" / "NOTICE").read_text()
    stamps = {path: path.stat().st_mtime_ns for path in written}
    (tmp_path / "presets" / "kserve-config-llm-gone.yaml").write_text("left by another version\n")
    assert presets.write(tmp_path) == written
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "presets").iterdir()} == stamps
