"""What chart kserve-controller makes of its values."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hack import paths
from hack.certificates import Authority
from tests.harness import HelmError, Manifests, helm_fails, notes, pod_specs, render, thaw

CHART = "kserve-controller"
PRESETS = "LLMInferenceServiceConfig"
CERT_MANAGER = {"certificates": {"certManager": {"enabled": True}}}
AUTHORITY = Authority("unit")
CA = AUTHORITY.pem
SECRET = {"certificates": {"existingSecret": {"name": "webhook-cert", "caBundle": CA}}}


def controller(helm: str = "helm", **values: Any) -> Manifests:
    return render(CHART, values={**CERT_MANAGER, **values}, namespace="kserve", helm=helm)


def container(manifests: Manifests) -> Mapping[str, Any]:
    (only,) = manifests.one("Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(only)


def configuration(manifests: Manifests) -> dict[str, Any]:
    return {key: json.loads(text) for key, text in manifests.one("ConfigMap")["data"].items()}


def webhooks(manifests: Manifests) -> list[Mapping[str, Any]]:
    kinds = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
    return [webhook for kind in kinds for obj in manifests.all(kind) for webhook in obj["webhooks"]]


@pytest.fixture(params=["helm", "helm3"])
def helm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# --- namespace --------------------------------------------------------------------------------------------------------


def test_another_namespace_is_refused(helm: str) -> None:
    with helm_fails(
        'release namespace: "llm" cannot work, because KServe\'s CRDs call their conversion webhook in namespace "kserve"; '
        "install with --namespace kserve"
    ):
        render(CHART, values=CERT_MANAGER, namespace="llm", helm=helm)


def test_every_object_is_in_its_namespace(helm: str) -> None:
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
    for obj in controller(helm).objects:
        assert obj["metadata"].get("namespace") == (None if obj["kind"] in cluster_wide else "kserve")


# --- replicas ---------------------------------------------------------------------------------------------------------


def test_one_replica_needs_no_leader_and_has_no_budget() -> None:
    manifests = controller()
    assert "--leader-elect" not in container(manifests)["args"]
    assert manifests.all("PodDisruptionBudget") == []
    assert "topologySpreadConstraints" not in manifests.one("Deployment")["spec"]["template"]["spec"]


def test_three_replicas_elect_a_leader_and_keep_two() -> None:
    manifests = controller(replicas=3)
    deployment = manifests.one("Deployment")
    assert "--leader-elect" in container(manifests)["args"]
    budget = manifests.one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["spec"]["selector"]
    (spread,) = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert spread["labelSelector"] == deployment["spec"]["selector"]


def test_own_spread_replaces_the_derived_one() -> None:
    own = [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}]
    for replicas in (1, 3):
        pod = controller(replicas=replicas, topologySpreadConstraints=own).one("Deployment")["spec"]["template"]["spec"]
        assert thaw(pod["topologySpreadConstraints"]) == own


# --- certificates -----------------------------------------------------------------------------------------------------

NO_CERTIFICATE = (
    "certificates: no certificate is chosen for the webhooks; set certificates.certManager.enabled to true where cert-manager "
    "runs, else certificates.existingSecret.name and certificates.existingSecret.caBundle"
)


def test_cert_manager_issues_and_injects(helm: str) -> None:
    manifests = controller(helm)
    certificate = manifests.one("Certificate")
    host = f"{manifests.one('Service', 'llmisvc-webhook-server-service')['metadata']['name']}.kserve.svc"
    assert list(certificate["spec"]["dnsNames"]) == [host]
    assert certificate["spec"]["issuerRef"]["name"] == manifests.one("Issuer")["metadata"]["name"]
    volume = manifests.one("Deployment")["spec"]["template"]["spec"]["volumes"][0]
    assert volume["secret"]["secretName"] == certificate["spec"]["secretName"]
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for obj in manifests.all(kind):
            assert obj["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] == f"kserve/{certificate['metadata']['name']}"
    assert ["caBundle" in webhook["clientConfig"] for webhook in webhooks(manifests)] == [False] * 6


def test_own_issuer_replaces_the_self_signed_one() -> None:
    issuer = {"name": "company-ca", "kind": "ClusterIssuer", "group": "cert-manager.io"}
    manifests = controller(
        certificates={"certManager": {"enabled": True, "issuerRef": {"name": "company-ca"}, "duration": "2160h"}}
    )
    assert manifests.all("Issuer") == []
    assert thaw(manifests.one("Certificate")["spec"]["issuerRef"]) == issuer
    assert manifests.one("Certificate")["spec"]["duration"] == "2160h"


def test_existing_secret_is_mounted_and_trusted(helm: str) -> None:
    manifests = render(CHART, values=SECRET, namespace="kserve", helm=helm)
    assert [*manifests.all("Certificate"), *manifests.all("Issuer")] == []
    assert manifests.one("Deployment")["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"] == "webhook-cert"
    assert {base64.b64decode(webhook["clientConfig"]["caBundle"]).decode() for webhook in webhooks(manifests)} == {CA}
    assert "cert-manager.io" not in manifests.text


def test_a_bundle_may_hold_two_authorities() -> None:
    both = CA + Authority("next").pem
    values = {"certificates": {"existingSecret": {"name": "webhook-cert", "caBundle": both}}}
    manifests = render(CHART, values=values, namespace="kserve")
    assert base64.b64decode(webhooks(manifests)[0]["clientConfig"]["caBundle"]).decode() == both


@pytest.mark.parametrize(
    ("certificates", "message"),
    [
        ({}, NO_CERTIFICATE),
        (
            {"certManager": {"enabled": True}, "existingSecret": {"name": "webhook-cert", "caBundle": CA}},
            "certificates: certManager.enabled and existingSecret are both set; keep one of them",
        ),
        (
            {"existingSecret": {"caBundle": CA}},
            "certificates.existingSecret.name: empty although caBundle is set; "
            "set the name of the Secret with tls.crt and tls.key",
        ),
        (
            {"existingSecret": {"name": "webhook-cert"}},
            "certificates.existingSecret.caBundle: empty, so the API server would trust no webhook; set the PEM certificates "
            "(--set-file certificates.existingSecret.caBundle=ca.crt)",
        ),
        (
            {"existingSecret": {"name": "webhook-cert", "caBundle": base64.b64encode(CA.encode()).decode()}},
            "certificates.existingSecret.caBundle: not PEM certificates; set text that begins with -----BEGIN CERTIFICATE----- "
            "and is not base64-encoded once more",
        ),
    ],
    ids=["none", "both", "no name", "no bundle", "base64"],
)
def test_certificates_that_cannot_work_are_refused(certificates: Mapping[str, Any], message: str) -> None:
    with helm_fails(message):
        render(CHART, values={"certificates": certificates}, namespace="kserve")


def test_a_private_key_is_refused_and_not_repeated() -> None:
    pair = AUTHORITY.sign("webhook")
    values = {"certificates": {"existingSecret": {"name": "webhook-cert", "caBundle": pair.certificate + pair.key}}}
    with pytest.raises(HelmError) as refused:
        render(CHART, values=values, namespace="kserve")
    assert refused.value.messages == [
        "certificates.existingSecret.caBundle: contains a private key; set certificates only, and replace the key, "
        "which has been given to Helm"
    ]
    assert pair.key.splitlines()[1] not in refused.value.stderr


def test_all_refusals_come_together() -> None:
    with pytest.raises(HelmError) as refused:
        render(CHART, values={"image": {"tag": ""}}, namespace="llm")
    assert len(refused.value.messages) == 3


# --- images -----------------------------------------------------------------------------------------------------------


def images(node: Any) -> list[str]:
    """Every `image` of a document, however deep."""
    if isinstance(node, Mapping):
        return [text for key, item in node.items() for text in ([item] if key == "image" else images(item))]
    return [text for item in node for text in images(item)] if isinstance(node, tuple) else []


def test_mirror_stands_in_for_every_registry(helm: str) -> None:
    plain, mirrored = controller(helm), controller(helm, **{"global": {"imageRegistry": "mirror.example.com/hub"}})
    upstream = [image for preset in plain.all(PRESETS) for image in images(preset)]
    assert len(upstream) == 15
    assert {image.split("/")[0] for image in upstream} == {"ghcr.io"}
    assert [image for preset in mirrored.all(PRESETS) for image in images(preset)] == [
        image.replace("ghcr.io/", "mirror.example.com/hub/") for image in upstream
    ]
    assert container(mirrored)["image"] == "mirror.example.com/hub/kserve/llmisvc-controller:v0.20.0"
    assert configuration(mirrored)["storageInitializer"]["image"] == "mirror.example.com/hub/kserve/storage-initializer:v0.20.0"


def test_digest_wins_and_pull_secrets_are_joined() -> None:
    digest = "sha256:" + "ab" * 32
    manifests = controller(
        image={"digest": digest}, imagePullSecrets=["own"], **{"global": {"imagePullSecrets": ["shared", "own"]}}
    )
    assert container(manifests)["image"] == f"docker.io/kserve/llmisvc-controller@{digest}"
    pod = manifests.one("Deployment")["spec"]["template"]["spec"]
    assert thaw(pod["imagePullSecrets"]) == [{"name": "shared"}, {"name": "own"}]


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"image": {"tag": ""}}, "image"),
        ({"configuration": {"storageInitializer": {"image": {"tag": ""}}}}, "configuration.storageInitializer.image"),
    ],
    ids=["controller", "storage initializer"],
)
def test_an_image_without_a_version_is_refused(values: Mapping[str, Any], path: str) -> None:
    with helm_fails(f"{path}.tag: empty, and so is the digest; set one of them"):
        controller(**values)


@pytest.mark.parametrize("tag", ["latest", "main"])
def test_a_tag_that_moves_is_refused(tag: str) -> None:
    with helm_fails(
        f"image.tag: {tag} moves, so that two pods of one release may run different images; set a version, or a digest alone"
    ):
        controller(image={"tag": tag})
    assert controller(image={"tag": f"{tag}-2026"}).objects


# --- presets ----------------------------------------------------------------------------------------------------------


def test_webhooks_leave_out_exactly_the_presets() -> None:
    manifests = controller()
    labels = [preset["metadata"]["labels"] for preset in manifests.all(PRESETS)]
    assert [label["llm-stack.io/preset"] for label in labels] == ["true"] * 10
    selectors = {webhook["name"]: thaw(webhook.get("objectSelector")) for webhook in webhooks(manifests)}
    without = {"matchExpressions": [{"key": "llm-stack.io/preset", "operator": "DoesNotExist"}]}
    assert {name for name, selector in selectors.items() if selector == without} == {
        "llminferenceserviceconfig.kserve-webhook-server.v1alpha1.validator",
        "llminferenceserviceconfig.kserve-webhook-server.v1alpha2.validator",
    }
    assert {selector is None for name, selector in selectors.items() if "config." not in name} == {True}
    assert [
        obj for obj in manifests.objects if obj["kind"] != PRESETS and "llm-stack.io/preset" in obj["metadata"]["labels"]
    ] == []


def test_uninstall_keeps_presets_and_nothing_else() -> None:
    kept = {obj["kind"] for obj in controller().objects if obj["metadata"].get("annotations", {}).get("helm.sh/resource-policy")}
    assert kept == {PRESETS}
    assert {preset["metadata"]["annotations"]["helm.sh/resource-policy"] for preset in controller().all(PRESETS)} == {"keep"}


def test_presets_can_be_left_to_somebody_else() -> None:
    assert controller(presets={"enabled": False}).all(PRESETS) == []


def test_kserves_templating_stays_as_it_is() -> None:
    preset = controller().one(PRESETS, "kserve-config-llm-scheduler")
    name = preset["spec"]["router"]["scheduler"]["pool"]["spec"]["endpointPickerRef"]["name"]
    assert name == "{{ ChildName .ObjectMeta.Name `-epp-service` }}"


def test_missing_presets_say_what_to_run(tmp_path: Path, helm: str) -> None:
    fresh = tmp_path / CHART
    for file in (paths.CHARTS / CHART).rglob("*"):
        if file.is_file() and "presets" not in file.relative_to(paths.CHARTS / CHART).parts[:2]:
            target = fresh / file.relative_to(paths.CHARTS / CHART)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    with helm_fails(
        "presets.enabled: the chart's files/presets folder is empty, as in a fresh clone; run `make deps`, "
        "or set presets.enabled to false"
    ):
        render(fresh, values=CERT_MANAGER, namespace="kserve", helm=helm)
    assert render(fresh, values={**CERT_MANAGER, "presets": {"enabled": False}}, namespace="kserve", helm=helm).one("Deployment")


# --- configuration ----------------------------------------------------------------------------------------------------


def test_configuration(helm: str) -> None:
    assert configuration(controller(helm)) == {
        "ingress": {
            "enableGatewayApi": True,
            "enableLLMInferenceServiceTLS": False,
            "ingressGateway": "unused/unused",
            "kserveIngressGateway": "kserve/kserve-ingress-gateway",
            "modelBasedRoutingHeaderName": "X-Gateway-Model-Name",
            "modelBasedRoutingMode": "enabled",
            "urlScheme": "http",
        },
        "storageInitializer": {
            "caBundleConfigMapName": "",
            "caBundleVolumeMountPath": "/etc/ssl/custom-certs",
            "cpuLimit": "4",
            "cpuModelcar": "10m",
            "cpuRequest": "100m",
            "image": "docker.io/kserve/storage-initializer:v0.20.0",
            "memoryLimit": "8Gi",
            "memoryModelcar": "15Mi",
            "memoryRequest": "1Gi",
            "ociModelMode": "modelcar",
            "uidModelcar": 1010,
        },
        "credentials": {
            "storageSecretNameAnnotation": "serving.kserve.io/storageSecretName",
            "s3": {
                "s3AccessKeyIDName": "AWS_ACCESS_KEY_ID",
                "s3SecretAccessKeyName": "AWS_SECRET_ACCESS_KEY",
                **dict.fromkeys(
                    (
                        "s3CABundle",
                        "s3CABundleConfigMap",
                        "s3Endpoint",
                        "s3Region",
                        "s3UseAccelerate",
                        "s3UseAnonymousCredential",
                        "s3UseHttps",
                        "s3UseVirtualBucket",
                        "s3VerifySSL",
                    ),
                    "",
                ),
            },
        },
    }


def test_integers_stay_integers(helm: str) -> None:
    manifests = controller(helm, configuration={"storageInitializer": {"oci": {"modelcar": {"uid": 1048576000}}}})
    assert '"uidModelcar": 1048576000' in manifests.one("ConfigMap")["data"]["storageInitializer"]


def test_tls_is_one_switch() -> None:
    for enabled in (True, False):
        ingress = configuration(controller(configuration={"tls": {"enabled": enabled}}))["ingress"]
        assert ingress["enableLLMInferenceServiceTLS"] is enabled


def test_gateway_is_namespace_and_name() -> None:
    gateway = {"namespace": "gateways", "name": "inference", "urlScheme": "https"}
    ingress = configuration(controller(configuration={"gateway": gateway}))["ingress"]
    assert (ingress["kserveIngressGateway"], ingress["urlScheme"]) == ("gateways/inference", "https")


def test_disabled_oci_says_nothing_of_modelcars() -> None:
    storage = configuration(controller(configuration={"storageInitializer": {"oci": {"mode": "disabled"}}}))["storageInitializer"]
    assert {field for field in storage if "odelcar" in field or field == "ociModelMode"} == set()


def test_writing_configmaps_is_a_right_only_for_a_ca_bundle() -> None:
    def verbs(manifests: Manifests) -> set[str]:
        rules = manifests.one("ClusterRole", "kserve-llmisvc-manager-role")["rules"]
        return {verb for rule in rules if "configmaps" in rule.get("resources", ()) for verb in rule["verbs"]}

    assert verbs(controller()) == {"get", "list", "watch"}
    bundle = {"storageInitializer": {"caBundle": {"configMap": "company-ca"}}}
    assert verbs(controller(configuration=bundle)) == {"get", "list", "watch", "create", "update"}


def test_autoscaling_is_written_whole_or_not_at_all() -> None:
    assert "autoscaling-wva-controller-config" not in configuration(controller())
    prometheus = {"url": "https://prometheus:9090", "authModes": "bearer", "triggerAuthName": "prometheus"}
    written = configuration(controller(configuration={"autoscaling": {"prometheus": prometheus}}))
    assert written["autoscaling-wva-controller-config"] == {
        "prometheus": {**prometheus, "tlsInsecureSkipVerify": False, "triggerAuthKind": "TriggerAuthentication"}
    }


@pytest.mark.parametrize(
    ("prometheus", "message"),
    [
        (
            {"url": "https://prometheus:9090", "triggerAuthName": "prometheus"},
            "configuration.autoscaling.prometheus.authModes: empty, so KEDA would not use triggerAuthName; "
            "set the mode, such as bearer",
        ),
        (
            {"url": "https://prometheus:9090", "authModes": "bearer"},
            "configuration.autoscaling.prometheus.triggerAuthName: empty although authModes is set; "
            "set the name of the TriggerAuthentication",
        ),
        (
            {"authModes": "bearer", "triggerAuthName": "prometheus"},
            "configuration.autoscaling.prometheus.url: empty although authentication is set; set the address of Prometheus",
        ),
    ],
    ids=["no mode", "no name", "no url"],
)
def test_half_an_authentication_is_refused(prometheus: Mapping[str, str], message: str) -> None:
    with helm_fails(message):
        controller(configuration={"autoscaling": {"prometheus": prometheus}})


def test_local_models_are_a_switch() -> None:
    assert "localModel" not in configuration(controller())
    local = configuration(controller(configuration={"localModel": {"enabled": True, "jobNamespace": "model-jobs"}}))["localModel"]
    assert (local["enabled"], local["jobNamespace"]) == (True, "model-jobs")


# --- pods -------------------------------------------------------------------------------------------------------------


def test_metrics_off_closes_the_port() -> None:
    manifests = controller(metrics={"enabled": False})
    assert "--metrics-addr=0" in container(manifests)["args"]
    assert "metrics" not in {port["name"] for port in container(manifests)["ports"]}
    assert [service["metadata"]["name"] for service in manifests.all("Service")] == ["llmisvc-webhook-server-service"]
    assert len(manifests.all("ClusterRole")) == 1


def test_metrics_on_are_guarded() -> None:
    manifests = controller()
    assert "--metrics-addr=:8443" in container(manifests)["args"]
    assert not any("metrics-secure" in argument for argument in container(manifests)["args"])
    reader = manifests.one("ClusterRole", "kserve-llmisvc-metrics-reader")
    assert thaw(reader["rules"]) == [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]


@pytest.mark.parametrize("level", ["error", "info", "debug"])
def test_log_level(level: str) -> None:
    assert f"--zap-log-level={level}" in container(controller(logLevel=level))["args"]


def test_services_select_the_pods_by_ports_that_exist() -> None:
    manifests = controller(podLabels={"app.kubernetes.io/name": "mine", "team": "platform"})
    labels = manifests.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert (labels["app.kubernetes.io/name"], labels["team"]) == ("llmisvc-controller-manager", "platform")
    ports = {port["name"] for port in container(manifests)["ports"]}
    for service in manifests.all("Service"):
        assert service["spec"]["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_a_new_chart_version_restarts_nothing() -> None:
    assert "0.1.0" not in json.dumps(thaw(controller().one("Deployment")["spec"]))


def test_pods_are_restricted() -> None:
    ((_, pod),) = pod_specs(controller().objects)
    (only,) = pod["containers"]
    for context in (pod["securityContext"], only["securityContext"]):
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"]["type"] == "RuntimeDefault"
    assert only["securityContext"]["allowPrivilegeEscalation"] is False
    assert list(only["securityContext"]["capabilities"]["drop"]) == ["ALL"]
    assert only["securityContext"]["readOnlyRootFilesystem"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


# --- notes ------------------------------------------------------------------------------------------------------------


def test_notes_give_the_next_command() -> None:
    text = notes(CHART, values=CERT_MANAGER, namespace="kserve")
    assert "kubectl -n kserve rollout status deployment/llmisvc-controller-manager" in text
    assert "kubectl -n kserve delete llminferenceserviceconfigs -l llm-stack.io/preset" in text
    assert "make crds" not in text
    assert "make crds" in notes(CHART, values=SECRET, namespace="kserve")


# --- disks of nodes ---------------------------------------------------------------------------------------------------

DISKS = {"nodeSelector": {"kserve/localmodel": "worker", "example.com/disk": "1"}, "path": "/models", "storageLimit": "1Ti"}


def test_groups_of_nodes() -> None:
    groups = {"b": DISKS, "a": {**DISKS, "storageClassName": "local-storage"}}
    first, second = controller(configuration={"localModel": {"enabled": True, "nodeGroups": groups}}).all("LocalModelNodeGroup")
    assert [obj["metadata"]["name"] for obj in (first, second)] == ["a", "b"]
    assert thaw(second["spec"]) == {
        "storageLimit": "1Ti",
        "persistentVolumeSpec": {
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": "Filesystem",
            "capacity": {"storage": "1Ti"},
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": "/models"},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {"key": "example.com/disk", "operator": "In", "values": ["1"]},
                                {"key": "kserve/localmodel", "operator": "In", "values": ["worker"]},
                            ]
                        }
                    ]
                }
            },
        },
        "persistentVolumeClaimSpec": {
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": "Filesystem",
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Ti"}},
        },
    }
    for part in ("persistentVolumeSpec", "persistentVolumeClaimSpec"):
        assert first["spec"][part]["storageClassName"] == "local-storage"
    assert controller().all("LocalModelNodeGroup") == []


def test_groups_that_no_service_would_use_are_refused(helm: str) -> None:
    with helm_fails(
        "configuration.localModel.nodeGroups: no service would use them; set configuration.localModel.enabled to true, or remove "
        "them"
    ):
        controller(helm, configuration={"localModel": {"nodeGroups": {"a": DISKS}}})
