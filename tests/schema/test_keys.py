"""No dead keys: each key, set to each of its examples, renders and changes what is rendered."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from hack import schemas
from tests.harness import HelmError, Manifests
from tests.harness.components import MODEL_CHART, overlay
from tests.schema.bases import AUTOSCALED, SCALING, show
from tests.schema.leaves import LEAVES, Leaf, document

NO_CACHE = {"global": {"llm": {"cache": {"enabled": False}}}}
BUCKET = overlay(NO_CACHE, {"global": {"llm": {"models": {"qwen2-5-7b-instruct": {"uri": "s3://a/b"}}}}})
SMOKE = {
    "global": {
        "llm": {"model": "smoke", "models": {"smoke": {"uri": "hf://other/other", "parameters": 7}}, "cache": {"enabled": False}}
    }
}
TWO = {"global": {"llm": {"replicas": 2}}}
ISSUER = {"certificates": {"certManager": {"issuerRef": {"name": "own"}}}}
PEM = "-----BEGIN CERTIFICATE-----\nMIIA\n-----END CERTIFICATE-----\n"
EXISTING = {"certificates": {"certManager": {"enabled": False}, "existingSecret": {"name": "own", "caBundle": PEM}}}
PROMETHEUS = {
    "configuration": {
        "autoscaling": {"prometheus": {"url": "http://p:9090", "authModes": "basic", "triggerAuthName": "own"}},
    }
}
CPU = {"global": {"llm": {"accelerator": "cpu"}}}
PREFILL = {"global": {"llm": {"prefill": {"enabled": True}}}}
ROUTED = {"global": {"llm": {"router": {"enabled": True}}}}
EXPERTS = {
    "global": {
        "llm": {
            "model": "qwen3-30b-a3b",
            "accelerator": "nvidia-h100-80gb",
            "parallel": {"tensor": 2},
            "prefill": {"enabled": True, "parallel": {"tensor": 2}},
        }
    }
}
OFFLOADED = {"global": {"llm": {"kvCacheOffloading": {"cpu": "16Gi"}}}}
REASONING = {"global": {"llm": {"models": {"qwen2-5-7b-instruct": {"reasoningParser": "qwen3"}}}}}
SIDECAR = {"image": {"repository": "own/own", "tag": "v1"}, "command": ["/app/pd-sidecar"]}
VOLUME = {"own": {"mountPath": "/etc/own", "source": {"configMap": {"name": "own"}}}}
PARSED = {"global": {"llm": {"features": {"toolCalling": True}}}}
NEWEST = {"global": {"llm": {"kserveVersion": "0.21"}}}
GUESSED = {"global": {"llm": {"speculative": {"method": "mtp", "tokens": 1}}}}


def signal(side: str, **keys: Any) -> Any:
    """The signal whose fields are tried, on one side: with prefill apart, decode has no time to first token to speak of."""
    signals = {"signals": {"timeToFirstToken": keys}}
    if side.startswith("prefill"):
        return overlay(AUTOSCALED, {"global": {"llm": {"prefill": {"autoscaling": signals}}}})
    return {"global": {"llm": {"autoscaling": {**SCALING, **signals}}}}


OFFICE = {"start": "0 7 * * *", "end": "0 19 * * *", "replicas": 3}
BEARER = overlay(AUTOSCALED, {"global": {"llm": {"autoscaling": {"prometheus": {"authModes": "basic", "secret": "own"}}}}})
LOCAL = {"configuration": {"localModel": {"enabled": True}}}
DISKS = overlay(
    LOCAL,
    {
        "configuration": {
            "localModel": {"nodeGroups": {"own": {"nodeSelector": {"a": "b"}, "path": "/own", "storageLimit": "1Gi"}}}
        }
    },
)

# What must be set beside a key for it to have an effect, by path; keys of a subchart as that chart sees them.
COMPANIONS: dict[str, Any] = {
    "global.llm.kserveVersion": NO_CACHE,
    "global.llm.router.flowControl.enabled": ROUTED,
    "global.llm.router.flowControl.defaultRequestTTL": overlay(
        ROUTED, {"global": {"llm": {"router": {"flowControl": {"enabled": True}}}}}
    ),
    "global.llm.model": SMOKE,
    "global.llm.models": SMOKE,
    "global.llm.accelerator": CPU,
    "global.llm.models.*.uri": NO_CACHE,
    "global.llm.models.*.qkRopeHeadDim": {"global": {"llm": {"models": {"qwen2-5-7b-instruct": {"kvLoraRank": 512}}}}},
    "global.llm.accelerators": CPU,
    "global.llm.engine.version": {"global": {"llm": {"engine": {"args": {"enable-prefix-caching": False}}}}},
    "podDisruptionBudget.enabled": TWO,
    **{f"networkPolicy.{key}": {"networkPolicy": {"enabled": True}} for key in ("from", "metricsFrom")},
    **{f"extraVolumes.*.{key}": {"extraVolumes": VOLUME} for key in ("mountPath", "readOnly", "source")},
    **{
        f"routingSidecar.{key}": {"routingSidecar": SIDECAR, **PREFILL}
        for key in (
            *("command", "resources.requests", "resources.limits"),
            *(f"image.{part}" for part in ("registry", "repository", "tag", "digest", "pullPolicy")),
        )
    },
    **{f"endpointPicker.resources.{key}": ROUTED for key in ("requests", "limits")},
    "global.llm.parallel.profile": {"global": {"llm": {"parallel": {"devices": 4}}}},
    "global.llm.parallel.expert": EXPERTS,
    "global.llm.prefill.parallel.profile": {"global": {"llm": {"prefill": {"enabled": True, "parallel": {"devices": 4}}}}},
    "global.llm.prefill.parallel.expert": EXPERTS,
    **{
        f"global.llm.prefill.{key}": PREFILL
        for key in (
            *("replicas", "args"),
            *("parallel.tensor", "parallel.data", "parallel.nodes", "parallel.devices"),
        )
    },
    **{
        f"global.llm.prefill.resources.{key}": {"global": {"llm": {"accelerator": "cpu", "prefill": {"enabled": True}}}}
        for key in ("requests", "limits")
    },
    **{f"global.llm.overrides.resources.{key}": CPU for key in ("requests", "limits")},
    "global.llm.overrides.downloadMemory": NO_CACHE,
    "global.llm.streaming.enabled": BUCKET,
    "caBundle.key": {"caBundle": {"configMap": "own"}},
    "global.llm.features.reasoning": REASONING,
    "global.llm.models.*.toolCallParser": PARSED,
    "global.llm.models.*.reasoningParser": overlay(REASONING, {"global": {"llm": {"features": {"reasoning": True}}}}),
    "global.llm.adapters.*.rank": {"global": {"llm": {"adapters": {"sql": {"uri": "hf://example/sql"}}}}},
    **{f"global.llm.kvCacheOffloading.{key}": OFFLOADED for key in ("evictionPolicy", "disk", "existingClaim")},
    "global.llm.rolloutStrategy.maxSurge": NEWEST,
    "global.llm.rolloutStrategy.maxUnavailable": NEWEST,
    **{f"global.llm.speculative.{key}": GUESSED for key in ("method", "tokens")},
    "global.llm.speculative.model": {"global": {"llm": {"speculative": {"tokens": 3, "model": "qwen2-5-1-5b-instruct"}}}},
    "global.llm.rdma.count": {"global": {"llm": {"rdma": {"resource": "rdma/ib"}}}},
    "global.llm.offline": {"global": {"llm": {"cache": {"env": {"HF_ENDPOINT": "http://hub"}}}}},
    **{
        f"global.llm.autoscaling.{key}": AUTOSCALED
        for key in (
            *("minReplicas", "maxReplicas", "signals", "pollingInterval", "cooldownPeriod", "startSeconds"),
            *("fallbackReplicas", "paused", "behavior"),
            *(f"prometheus.{key}" for key in ("serverAddress", "unsafeSsl", "tenant")),
        )
    },
    "global.llm.autoscaling.enabled": overlay(AUTOSCALED, {"global": {"llm": {"autoscaling": {"enabled": False}}}}),
    **{f"global.llm.autoscaling.prometheus.{key}": BEARER for key in ("authModes", "secret", "caSecret")},
    **{f"global.llm.prefill.autoscaling.{key}": AUTOSCALED for key in ("minReplicas", "maxReplicas", "signals")},
    **{
        f"global.llm.{side}signals.*.{key}": signal(side, **beside)
        for side in ("autoscaling.", "prefill.autoscaling.")
        for key, beside in (
            *((key, {"target": 2}) for key in ("target", "percentile", "window", "query")),
            *((key, {"target": 2, "query": "up"}) for key in ("metricType", "outlivesPods")),
            *((key, OFFICE) for key in ("start", "end", "timezone", "replicas")),
        )
    },
    "dataSource.kind": {"dataSource": {"name": "weights"}},
    "monitors.tlsConfig": {"monitors": {"scheme": "https"}},
    "endpointPicker.tokenSecret.name": {"endpointPicker": {"enabled": True}},
    "endpointPicker.tokenSecret.key": {"endpointPicker": {"enabled": True, "tokenSecret": {"name": "own"}}},
    "presets.enabled": {"presets": {"enabled": True}},
    "certificates.certManager.issuerRef.kind": ISSUER,
    "certificates.certManager.issuerRef.group": ISSUER,
    "certificates.existingSecret.name": EXISTING,
    "certificates.existingSecret.caBundle": EXISTING,
    "configuration.autoscaling.prometheus.tlsInsecureSkipVerify": PROMETHEUS,
    "configuration.autoscaling.prometheus.authModes": PROMETHEUS,
    "configuration.autoscaling.prometheus.triggerAuthName": PROMETHEUS,
    "configuration.autoscaling.prometheus.triggerAuthKind": PROMETHEUS,
    "configuration.localModel.jobNamespace": LOCAL,
    "configuration.localModel.nodeGroups": LOCAL,
    **{
        f"configuration.localModel.nodeGroups.*.{key}": DISKS
        for key in ("nodeSelector", "path", "storageLimit", "storageClassName")
    },
}
# Tried with other values than the examples: facts of the fit with those that change how many devices a small model needs.
TRIED: dict[str, Any] = {
    "global.llm.models.*.contextLength": 1000000,
    "global.llm.models.*.layers": 1000,
    "global.llm.models.*.kvHeads": 128,
    "global.llm.models.*.headSize": 4096,
    "global.llm.models.*.kvLoraRank": 16000,
    "global.llm.models.*.qkRopeHeadDim": 16000,
    "global.llm.accelerators.*.memoryBytes": 10000000000,
    "global.llm.overrides.downloadMemory": "20Gi",  # the derived one is the 10Gi of the example
}
# Keys whose other value is refused: one release has one plane, and the webhooks one certificate. The beginning of the message.
REFUSED = {
    "llm-stack:llm-inference-service.enabled": "llm-inference-service.enabled: nothing is enabled",
    "llm-stack:kserve-controller.enabled": "llm-inference-service.enabled: nothing is enabled",
    "kserve-controller:certificates.certManager.enabled": "certificates: no certificate is chosen",
}
# Keys that no render shows, and why.
INVISIBLE = {
    "llm-stack:global.llm.models.*.source": "documentation of a fact",
    "llm-stack:global.llm.accelerators.*.source": "documentation of a fact",
    "llm-stack:global.llm.models.*.heads": "only refuses what does not divide it (tests/unit/test_fit.py)",
    "llm-stack:global.llm.accelerators.*.devicesPerNode": "only refuses more (tests/unit/test_fit.py)",
    "llm-stack:global.llm.models.*.gated": "only warns that a token is missing (tests/unit/test_plan.py)",
    "llm-stack:global.llm.models.*.expertParameters": "changes how much fits, which the plan says (tests/unit/test_fit.py)",
    "llm-stack:global.llm.models.*.slidingWindow": "changes how much fits, which the plan says (tests/unit/test_fit.py)",
    "llm-stack:global.llm.models.*.slidingLayers": "changes how much fits, which the plan says (tests/unit/test_fit.py)",
    **{
        f"llm-stack:global.llm.{side}signals.*.outlivesPods": "only allows minReplicas 0 (tests/unit/test_autoscaling.py)"
        for side in ("autoscaling.", "prefill.autoscaling.")
    },
    "llm-inference-service:enabled": "Helm's condition, which only the umbrella evaluates",
    "llm-observability:enabled": "Helm's condition, which only the umbrella evaluates",
    "kserve-controller:enabled": "Helm's condition, which only the umbrella evaluates",
}


def inside(leaf: Leaf) -> str:
    """The path of a key as the chart sees that reads it."""
    return leaf.dotted.removeprefix(f"{leaf.path[0]}.") if leaf.path[0] in schemas.charts() else leaf.dotted


def is_passed_on(leaf: Leaf) -> bool:
    """A key of a subchart as the umbrella shows it, which Helm passes on: tried in the subchart, in half the time."""
    return leaf.chart == schemas.UMBRELLA and inside(leaf) not in (leaf.dotted, "enabled")


def asked(leaf: Leaf) -> str:
    """The chart that shows a key's effect: of a service, the one that makes it, in half the umbrella's time."""
    return MODEL_CHART if leaf.path[:2] == ("global", "llm") and not {"cache", "autoscaling"} & set(leaf.path) else leaf.chart


def companion(leaf: Leaf) -> Any:
    found = dict(COMPANIONS.get(inside(leaf), {}))
    if inside(leaf) == leaf.dotted:
        return found
    return {"global": found.pop("global", {}), leaf.path[0]: found}


def objects(manifests: Manifests) -> list[Any]:
    """All but the plan's ConfigMap, which repeats what was derived."""
    return [obj for obj in manifests.objects if not obj["metadata"]["name"].endswith("-plan")]


def tries(leaf: Leaf) -> list[Any]:
    """The examples; for a switch the value that the base does not have."""
    values = [TRIED[leaf.dotted]] if leaf.dotted in TRIED else leaf.candidates()
    if str(leaf) in REFUSED:
        return [False]
    return values


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if not is_passed_on(leaf)], ids=str)
def test_a_key_renders_and_has_an_effect(leaf: Leaf) -> None:
    before = objects(show(asked(leaf), leaf.path, companion(leaf)))
    values = tries(leaf)
    assert values
    if str(leaf) in REFUSED:
        with pytest.raises(HelmError) as refused:
            show(asked(leaf), leaf.path, companion(leaf), leaf.values(values[0]))
        assert any(message.startswith(REFUSED[str(leaf)]) for message in refused.value.messages), refused.value.stderr
        return
    changed = [objects(show(asked(leaf), leaf.path, companion(leaf), leaf.values(value))) != before for value in values]
    if str(leaf) in INVISIBLE:
        assert not any(changed), f"{leaf} has an effect; remove it from INVISIBLE"
    else:
        assert any(changed), f"{leaf}: none of {values} changes a render"


def test_tables_name_keys_that_exist() -> None:
    assert {*REFUSED, *INVISIBLE} <= {str(leaf) for leaf in LEAVES}
    assert {*COMPANIONS, *TRIED} <= {inside(leaf) for leaf in LEAVES}


@pytest.mark.parametrize("path", sorted(COMPANIONS))
def test_companions_are_needed(path: str) -> None:
    """A companion without which the key shows its effect all the same is stale."""
    leaf = next(leaf for leaf in LEAVES if inside(leaf) == path)

    def outcome(*layers: Any) -> Any:
        try:
            return objects(show(asked(leaf), leaf.path, *layers))
        except HelmError as refused:
            return refused.messages

    assert any(
        outcome(leaf.values(value)) == outcome() or isinstance(outcome(leaf.values(value))[0], str) for value in leaf.candidates()
    )


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if "examples" in leaf.schema], ids=str)
def test_examples_are_valid(leaf: Leaf) -> None:
    validator = jsonschema.Draft7Validator({**leaf.schema, "definitions": document(leaf.chart)["definitions"]})
    for example in leaf.schema["examples"]:
        validator.validate(example)
        assert example != leaf.schema.get("default"), "an example shows something else than the default"


def test_examples_of_definitions_are_valid() -> None:
    """Those that no key shows: of items and of map entries."""
    seen = 0

    def visit(schema: Any, definitions: Any) -> None:
        nonlocal seen
        if isinstance(schema, dict):
            for example in schema.get("examples", []) if isinstance(schema.get("examples"), list) else []:
                jsonschema.Draft7Validator({**schema, "definitions": definitions}).validate(example)
                seen += 1
            for key, value in schema.items():
                if key not in ("examples", "default", "enum"):
                    visit(value, definitions)
        elif isinstance(schema, list):
            for item in schema:
                visit(item, definitions)

    definitions = document("llm-stack")["definitions"]
    visit(definitions, definitions)
    assert seen > 50
