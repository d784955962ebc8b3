"""Values that no mode can serve, each with its one message and a neighbour that passes."""

from __future__ import annotations

from typing import Any

from tests.harness.components import overlay
from tests.unit.models import QWEN, Case, chart, defined, llm
from tests.unit.test_fit import BIG

MOE = {"model": "qwen3-30b-a3b", "accelerator": "nvidia-h100-80gb", "parallel": {"tensor": 2}}
PREFILL = {"prefill": {"enabled": True}}
P, C = "kv_producer", "kv_consumer"


def parallel(**keys: Any) -> dict[str, Any]:
    return llm(**{**BIG, "parallel": keys})


def args(prefill: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """A disaggregated service with arguments for both sides, and for prefill."""
    given = {name if "-" in name else name.replace("_", "-"): value for name, value in keys.items()}
    return llm(engine={"args": given}, prefill={"enabled": True, "args": prefill or {}})


def connector(role: str, name: str = "NixlConnector") -> dict[str, Any]:
    return {"kv_connector": name, "kv_role": role}


def offloading(**keys: Any) -> dict[str, Any]:
    return llm(kvCacheOffloading=keys)


DRAFT = "qwen2-5-0-5b-instruct"


def speculative(**keys: Any) -> dict[str, Any]:
    return llm(speculative=keys)


ADAPTER = {"sql": {"uri": "hf://example/sql"}}
VOLUME = {"mountPath": "/etc/own", "source": {"configMap": {"name": "own"}}}

LAYOUT = (
    Case(
        "a profile of nothing",
        "global.llm.parallel.profile: is latency and there is nothing to lay out; set global.llm.parallel.devices",
        parallel(profile="latency"),
        parallel(profile="latency", devices=4),
    ),
    Case(
        "a profile and its result",
        "global.llm.parallel.profile: is throughput and would choose tensor and data, which are set as well; "
        "remove profile, or tensor and data",
        parallel(profile="throughput", devices=8, tensor=4),
        parallel(devices=8, tensor=4, data=0),
    ),
    Case(
        "data parallelism of nothing",
        "global.llm.parallel.data: is 0 and there are no devices to share; set it, or global.llm.parallel.devices",
        parallel(data=0),
        parallel(data=0, devices=4),
    ),
    Case(
        "devices of a processor",
        "global.llm.parallel.tensor: 2 counts devices and cpu has none; set one of 1",
        llm(accelerator="cpu", parallel={"tensor": 2}),
        llm(accelerator="cpu", parallel={"tensor": 1}),
    ),
    Case(
        "more devices than a node",
        "global.llm.parallel.tensor: 16 is more than the 8 devices of one node; set one of 1, 2, 4, 8",
        parallel(tensor=16),
        parallel(tensor=16, nodes=2),
    ),
    Case(
        "devices that are not tensor x data",
        "global.llm.parallel.devices: is 8 and tensor 4 x data 1 is 4; set devices: 4, or 0",
        parallel(tensor=4, devices=8),
        parallel(tensor=4, devices=4),
    ),
    Case(
        "nodes that cannot share",
        "global.llm.parallel.nodes: tensor 4 x data 1 is 4, which 3 nodes cannot share evenly; set tensor and data so that 3 "
        "divides their product",
        parallel(tensor=4, nodes=3),
        parallel(tensor=4, data=3, nodes=3),
    ),
    Case(
        "data beyond the node",
        "global.llm.parallel.data: tensor 4 x data 4 is 16, more than the 8 devices of one node; set data to at most 2, or more "
        "nodes",
        parallel(tensor=4, data=4),
        parallel(tensor=4, data=4, nodes=2),
    ),
    Case(
        "nothing fills the nodes",
        "global.llm.parallel: no tensor x data fills 3 nodes of 8 devices with data 1; set tensor and data so that their product "
        "is nodes x devices of a pod",
        parallel(nodes=3),
        parallel(nodes=3, data=3, tensor=4),
    ),
    Case(
        "prefill beyond the node",
        "global.llm.prefill.parallel.tensor: 16 is more than the 8 devices of one node; set one of 1, 2, 4, 8",
        llm(**BIG, prefill={"enabled": True, "parallel": {"tensor": 16}}),
        llm(**BIG, prefill={"enabled": True, "parallel": {"tensor": 8}}),
    ),
    Case(
        "experts of a dense model",
        "global.llm.parallel.expert: Qwen/Qwen2.5-72B-Instruct has no experts to spread; set false, or expertParameters in an "
        "entry of your own in global.llm.models",
        parallel(expert=True),
        llm(**{**MOE, "parallel": {"tensor": 2, "expert": True}}),
    ),
    Case(
        "utilisation without room for the driver",
        "global.llm.engine.args.gpu-memory-utilization: 0.99 leaves less than 1 GB of nvidia-l40s's 48.3 GB for driver and "
        "context; set at most 0.97",
        llm(engine={"args": {"gpu-memory-utilization": 0.99}}),
        llm(engine={"args": {"gpu-memory-utilization": 0.97}}),
    ),
    Case(
        "context beyond the model's",
        "global.llm.engine.args.max-model-len: 40000 is beyond the 32768 tokens of Qwen/Qwen2.5-7B-Instruct; set at most that, "
        "or "
        "hf-overrides with a rope scaling",
        llm(engine={"args": {"max-model-len": 40000}}),
        llm(engine={"args": {"max-model-len": 40000, "hf-overrides": {"rope_parameters": {"rope_type": "yarn"}}}}),
    ),
    Case(
        "sides that do not divide",
        "global.llm.prefill.parallel.tensor: 2 and decode's 3 do not divide each other, which the transfer of the KV cache "
        "needs; "
        "set one to a multiple of the other",
        llm(
            models={"qwen2-5-7b-instruct": {"heads": 12}},
            parallel={"tensor": 3},
            prefill={"enabled": True, "parallel": {"tensor": 2}},
        ),
        llm(
            models={"qwen2-5-7b-instruct": {"heads": 12}},
            parallel={"tensor": 3},
            prefill={"enabled": True, "parallel": {"tensor": 6}},
        ),
    ),
)

PREFILLED = (
    Case(
        "prefill that is off",
        "global.llm.prefill.replicas: is set and prefill is not enabled; set global.llm.prefill.enabled: true, or remove it",
        llm(prefill={"replicas": 2}),
        llm(prefill={"enabled": True, "replicas": 2}),
    ),
    Case(
        "a name too long for groups of prefill",
        f'global.llm.name: "{"n" * 32}" (from global.llm.name) has 32 characters and KServe with LeaderWorkerSet appends up to '
        "32 for prefill on several nodes; set a name of at most 31",
        llm(**BIG, **PREFILL, name="n" * 32, parallel={"tensor": 8, "nodes": 2}),
        llm(**BIG, **PREFILL, name="n" * 31, parallel={"tensor": 8, "nodes": 2}),
    ),
    Case(
        "one claim for both sides",
        "global.llm.cache.accessMode: ReadWriteOnce lets one node mount the weights and prefill and decode are pods of their "
        "own; "
        "set ReadWriteMany",
        llm(**PREFILL, cache={"accessMode": "ReadWriteOnce"}),
        llm(**PREFILL, cache={"accessMode": "ReadWriteMany"}),
    ),
    Case(
        "one claim for several nodes",
        "global.llm.cache.accessMode: ReadWriteOnce lets one node mount the weights and global.llm.parallel.nodes is 2; "
        "set ReadWriteMany",
        llm(**BIG, parallel={"tensor": 8, "nodes": 2}, cache={"accessMode": "ReadWriteOnce"}),
        llm(**BIG, parallel={"tensor": 8, "nodes": 2}, cache={"accessMode": "ReadWriteMany"}),
    ),
    Case(
        "a role for both sides",
        f"global.llm.engine.args.kv-transfer-config: has kv_role {P} and decode needs {C}; set that, or both sides apart in "
        "engine.args and prefill.args",
        args(kv_transfer_config=connector(P)),
        args(kv_transfer_config=connector("kv_both")),
    ),
    Case(
        "the wrong role for prefill",
        f"global.llm.prefill.args.kv-transfer-config: has kv_role {C} and prefill needs {P}; set that",
        args({"kv-transfer-config": connector(C)}),
        args({"kv-transfer-config": connector(P)}),
    ),
    Case(
        "connectors that differ",
        "global.llm.prefill.args.kv-transfer-config: has kv_connector MooncakeConnector and decode has NixlConnector; "
        "set the same on both sides",
        args({"kv-transfer-config": connector(P, "MooncakeConnector")}),
        args({"kv-transfer-config": connector(P, "MooncakeConnector")}, kv_transfer_config=connector(C, "MooncakeConnector")),
    ),
    Case(
        "a part of the connector",
        "global.llm.engine.args.kv-transfer-config.kv_role: is a part of kv-transfer-config, which the plan derives as a whole; "
        "set the whole map",
        args(**{"kv-transfer-config.kv_role": "kv_consumer"}),
        llm(engine={"args": {"kv-transfer-config.kv_role": "kv_both"}}),
    ),
    Case(
        "the connector left out",
        "global.llm.engine.omitArgs: kv-transfer-config is what mode disaggregated consists of; remove it",
        llm(**PREFILL, engine={"omitArgs": ["kv-transfer-config"]}),
        llm(engine={"omitArgs": ["kv-transfer-config"]}),
    ),
)

OFFLOADED = (
    Case(
        "a disk without memory",
        "global.llm.kvCacheOffloading.cpu: is empty and vLLM reaches a disk through host memory only; set how much, for example "
        "16Gi",
        offloading(disk="100Gi"),
        offloading(disk="100Gi", cpu="16Gi"),
    ),
    Case(
        "two disks",
        "global.llm.kvCacheOffloading.disk: existingClaim stands in its place; remove one of them",
        offloading(cpu="16Gi", disk="100Gi", existingClaim="own"),
        offloading(cpu="16Gi", existingClaim="own"),
    ),
    Case(
        "vLLM's own switch for offloading",
        "global.llm.engine.args.kv-offloading-size: would replace the connector that global.llm.kvCacheOffloading sets up; "
        "remove one of them",
        llm(kvCacheOffloading={"cpu": "16Gi"}, engine={"args": {"kv-offloading-size": 16}}),
        llm(engine={"args": {"kv-offloading-size": 16}}),
    ),
    Case(
        "a connector beside offloading",
        "global.llm.engine.args.kv-transfer-config: replaces the connector that global.llm.kvCacheOffloading sets up; "
        "remove one of them",
        llm(kvCacheOffloading={"cpu": "16Gi"}, engine={"args": {"kv-transfer-config": connector("kv_both")}}),
        llm(engine={"args": {"kv-transfer-config": connector("kv_both")}}),
    ),
    Case(
        "less shared memory than is offloaded",
        "global.llm.overrides.sharedMemory: 16Gi is smaller than the 17Gi that 2 devices and 16Gi of offloaded KV cache exchange "
        "there; set at least that, or leave it empty",
        llm(kvCacheOffloading={"cpu": "16Gi"}, parallel={"tensor": 2}, overrides={"sharedMemory": "16Gi"}),
        llm(kvCacheOffloading={"cpu": "16Gi"}, parallel={"tensor": 2}, overrides={"sharedMemory": "17Gi"}),
    ),
    Case(
        "resources for another layout",
        "global.llm.overrides.resources: asks for 1 nvidia.com/gpu and the layout uses 2 in a pod; set limits.nvidia.com/gpu: 2, "
        "or global.llm.parallel",
        llm(parallel={"tensor": 2}, overrides={"resources": {"limits": {"nvidia.com/gpu": 1}}}),
        llm(parallel={"tensor": 2}, overrides={"resources": {"limits": {"nvidia.com/gpu": 2}}}),
    ),
    Case(
        "resources without the devices",
        "global.llm.prefill.resources: asks for no nvidia.com/gpu and the layout uses 1 in a pod; set limits.nvidia.com/gpu: 1, "
        "or global.llm.prefill.parallel",
        llm(prefill={"enabled": True, "resources": {"requests": {"cpu": "8"}}}),
        llm(prefill={"enabled": True, "resources": {"requests": {"nvidia.com/gpu": "1"}}}),
    ),
)

ADAPTERS = (
    Case(
        "an adapter named as the model",
        "global.llm.adapters.chat: is the served name of the model itself; set another name",
        llm(models={"qwen2-5-7b-instruct": {"servedName": "chat"}}, adapters={"chat": {"uri": "hf://example/chat"}}),
        llm(models={"qwen2-5-7b-instruct": {"servedName": "chat"}}, adapters={"chats": {"uri": "hf://example/chat"}}),
    ),
    Case(
        "an adapter from another kind of place",
        "global.llm.adapters.sql.uri: is pvc://claim/sql and the model comes from a hub, which KServe cannot mount together; "
        "set global.llm.cache.enabled: true, or bring both from one kind of place",
        llm(cache={"enabled": False}, adapters={"sql": {"uri": "pvc://claim/sql"}}),
        llm(cache={"enabled": False}, adapters=ADAPTER),
    ),
    Case(
        "adapters on several nodes",
        "global.llm.adapters: KServe writes their arguments for a shell, and an engine on several nodes has none; "
        "set global.llm.parallel.nodes: 1",
        llm(**BIG, parallel={"tensor": 8, "nodes": 2}, adapters=ADAPTER),
        llm(**BIG, adapters=ADAPTER),
    ),
    Case(
        "adapters by hand beside ours",
        "global.llm.engine.args.max-loras: is derived from global.llm.adapters, and would switch off what KServe makes of them; "
        "set adapters and their rank there",
        llm(adapters=ADAPTER, engine={"args": {"max-loras": 4}}),
        llm(adapters=ADAPTER, engine={"args": {"max-cpu-loras": 4}}),
    ),
)

ARGUMENTS = (
    *(
        Case(
            f"{path}: {flag}",
            f"{path}.{flag}: {why.replace('global.llm.parallel', 'global.llm.prefill.parallel') if 'prefill' in path else why}",
            llm(engine={"args": {flag: True}, "version": "0.99"})
            if "prefill" not in path
            else llm(engine={"version": "0.99"}, prefill={"enabled": True, "args": {flag: True}}),
            llm(),
        )
        for flag, why in defined("llm-common.ownedFlags").items()
        for path in (("global.llm.engine.args", "global.llm.prefill.args") if flag == "nnodes" else ("global.llm.engine.args",))
    ),
    Case(
        "Ray",
        "global.llm.engine.args.distributed-executor-backend: is ray, and no Ray runs in KServe's pods; set mp, or remove it",
        llm(engine={"args": {"distributed-executor-backend": "ray"}}),
        llm(engine={"args": {"distributed-executor-backend": "mp"}}),
    ),
    Case(
        "a side door for arguments",
        "global.llm.engine.env.VLLM_ADDITIONAL_ARGS: goes through a shell and past every check; set global.llm.engine.args",
        llm(engine={"env": {"VLLM_ADDITIONAL_ARGS": "--max-num-seqs 8"}}),
        llm(engine={"args": {"max-num-seqs": 8}}),
    ),
    Case(
        "discovery that nobody runs",
        "global.llm.engine.env.KSERVE_INFER_ROCE: is read by the script of KServe's preset, which an engine on several nodes "
        "does "
        "not run; set NCCL_IB_HCA, NCCL_IB_GID_INDEX, UCX_NET_DEVICES and NVSHMEM_HCA_LIST to the devices of the nodes",
        llm(**BIG, parallel={"tensor": 8, "nodes": 2}, engine={"env": {"KSERVE_INFER_ROCE": "true"}}),
        llm(**BIG, engine={"env": {"KSERVE_INFER_ROCE": "true"}}),
    ),
    Case(
        "tools without a parser",
        "global.llm.features.toolCalling: the catalogue names no parser for Qwen/Qwen3-32B; "
        "set global.llm.models.qwen3-32b.toolCallParser, or global.llm.engine.args.tool-call-parser",
        llm(model="qwen3-32b", accelerator="nvidia-h200", features={"toolCalling": True}),
        llm(
            model="qwen3-32b",
            accelerator="nvidia-h200",
            features={"toolCalling": True},
            engine={"args": {"tool-call-parser": "hermes"}},
        ),
    ),
)

CHART = (
    Case(
        "a policy that shuts the gateway out",
        "llm-inference-service.networkPolicy.from: is empty and global.llm.router is enabled, so that the gateway's requests "
        "would "
        "be dropped; set a peer that selects the gateway's pods",
        chart(llm(router={"enabled": True}), networkPolicy={"enabled": True}),
        chart(llm(router={"enabled": True}), networkPolicy={"enabled": True, "from": {"gateway": {"podSelector": {}}}}),
    ),
    Case(
        "a volume of two sources",
        "llm-inference-service.extraVolumes.own.source: names 2 volume sources; set one",
        chart(llm(), extraVolumes={"own": {**VOLUME, "source": {"configMap": {"name": "own"}, "secret": {"secretName": "own"}}}}),
        chart(llm(), extraVolumes={"own": VOLUME}),
    ),
    *(
        Case(
            f"volume {name}, which exists",
            f"llm-inference-service.extraVolumes.{name}: is a volume of KServe's or of this chart; set another name",
            chart(llm(), extraVolumes={name: VOLUME}),
            chart(llm(), extraVolumes={"own": VOLUME}),
        )
        for name in ("dshm", "kserve-pvc-source", "model-cache-scripts")
    ),
)

CLAIMS = (
    Case(
        "offloading onto the claim of the weights",
        "global.llm.kvCacheOffloading.existingClaim: demo-models holds the weights already, and a pod mounts a claim once; "
        "set another claim",
        offloading(cpu="16Gi", existingClaim="demo-models"),
        offloading(cpu="16Gi", existingClaim="own"),
    ),
    Case(
        "a volume of the claim of the weights",
        "llm-inference-service.extraVolumes.own.source: claim demo-models holds the weights already, and a pod mounts a claim "
        "once; set another claim",
        chart(llm(), extraVolumes={"own": {**VOLUME, "source": {"persistentVolumeClaim": {"claimName": "demo-models"}}}}),
        chart(llm(), extraVolumes={"own": {**VOLUME, "source": {"persistentVolumeClaim": {"claimName": "own"}}}}),
    ),
    Case(
        "an adapter on a claim that can be no volume",
        "global.llm.adapters.SQL_1: is on a claim, and KServe names a volume after it; set a name of at most 54 lower case "
        "letters, digits and dashes",
        llm(adapters={"SQL_1": {"uri": "hf://example/sql"}}),
        llm(adapters={"SQL_1": {"uri": "hf://example/sql"}}, cache={"enabled": False}),
    ),
)

SPECULATIVE = (
    Case(
        "a guess of nothing",
        "global.llm.speculative.tokens: is 0, so that nothing is guessed; set how many tokens at once, for example 3",
        speculative(method="ngram"),
        speculative(method="ngram", tokens=3),
    ),
    Case(
        "a method without its draft model",
        "global.llm.speculative.model: is empty and method eagle3 needs a draft model; set a key of the catalogue or of "
        "global.llm.models, or method ngram or mtp",
        speculative(method="eagle3", tokens=3),
        speculative(method="eagle3", tokens=3, model=DRAFT),
    ),
    Case(
        "nobody who guesses",
        "global.llm.speculative.model: is empty and without a method vLLM needs a draft model; set a key of the catalogue or of "
        "global.llm.models, or method ngram or mtp",
        speculative(tokens=3),
        speculative(tokens=3, model=DRAFT),
    ),
    Case(
        "a draft model that nobody asks",
        "global.llm.speculative.model: method ngram guesses without a draft model; remove one of them",
        speculative(method="ngram", tokens=3, model=DRAFT),
        speculative(method="draft_model", tokens=3, model=DRAFT),
    ),
    Case(
        "a draft model without a volume",
        "global.llm.speculative.model: qwen2-5-0-5b-instruct would have to be downloaded, and KServe downloads the model only; "
        "set global.llm.cache.enabled: true, or a uri on a claim (pvc://claim/path)",
        overlay(speculative(tokens=3, model=DRAFT), llm(cache={"enabled": False})),
        overlay(speculative(tokens=3, model=DRAFT), llm(cache={"enabled": False}, models={DRAFT: {"uri": "pvc://own/draft"}})),
    ),
    Case(
        "an argument beside the draft model",
        "global.llm.engine.args.speculative-config: is derived from global.llm.speculative, whose draft model it would lose; "
        "set it there, or leave that empty",
        overlay(speculative(tokens=3, model=DRAFT), llm(engine={"args": {"speculative-config": {"num_speculative_tokens": 2}}})),
        llm(engine={"args": {"speculative-config": {"method": "ngram", "num_speculative_tokens": 2}}}),
    ),
)

ROLLOUT = (
    Case(
        "a strategy for rollouts on a KServe without one",
        "global.llm.rolloutStrategy: KServe 0.20 has no such field and starts a new engine before it stops the old; remove it "
        "and see UPGRADING.md for a restart without spare devices, or run KServe 0.21 and set global.llm.kserveVersion",
        llm(rolloutStrategy={"maxSurge": 0, "maxUnavailable": 1}),
        llm(rolloutStrategy={"maxSurge": 0, "maxUnavailable": 1}, kserveVersion="0.21"),
    ),
    Case(
        "a rollout that replaces nothing",
        "global.llm.rolloutStrategy: maxSurge and maxUnavailable are both 0, so that no pod could ever be replaced; "
        "set one of them to 1",
        llm(rolloutStrategy={"maxSurge": 0, "maxUnavailable": 0}, kserveVersion="0.21"),
        llm(rolloutStrategy={"maxSurge": 0, "maxUnavailable": "50%"}, kserveVersion="0.21"),
    ),
)

NODES = {"nodeGroups": ["gpu-disks"]}


def on_nodes(cache: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """A model whose weights KServe keeps on disks of nodes."""
    return llm(**{**keys, "cache": {**NODES, **(cache or {})}})


NODE_LOCAL = (
    Case(
        "node groups without a cache",
        "global.llm.cache.nodeGroups: is set and the cache is not enabled; set global.llm.cache.enabled: true, or remove it",
        on_nodes({"enabled": False}),
        llm(cache={"enabled": False}),
    ),
    *(
        Case(
            f"a cache on nodes of {uri}",
            f"global.llm.cache.nodeGroups: KServe's agents download folders from hf://, s3:// and gs://, not {uri}; set another "
            "uri, or nodeGroups: []",
            on_nodes(model="own", models={"own": {"uri": uri, "weightBytes": 1}}),
            on_nodes(model="own", models={"own": {"uri": other, "weightBytes": 1}}),
        )
        for uri, other in (
            ("https://example.com/own", "hf://org/own"),
            ("pvc://claim/own", "s3://bucket/own"),
            ("oci://example.com/own:v1", "gs://bucket/own"),
        )
    ),
    *(
        Case(
            f"a cache on nodes and {key}",
            f"global.llm.cache.{key}: is of a volume claim, and with nodeGroups KServe keeps the weights on disks of nodes; "
            "remove it, or nodeGroups",
            on_nodes({key: value}),
            llm(cache={key: value}),
        )
        for key, value in (
            ("existingClaim", "weights"),
            ("size", "1Ti"),
            ("storageClassName", "fast"),
            ("accessMode", "ReadWriteMany"),
            ("deadlineSeconds", 60),
            ("verification", "always"),
            ("compilation", True),
        )
    ),
    Case(
        "a cache on nodes and a draft model",
        f"global.llm.speculative.model: {DRAFT} would have to be downloaded, and KServe's cache on nodes holds the model only; "
        "set nodeGroups: [], or a uri on a claim (pvc://claim/path)",
        on_nodes(speculative={"model": DRAFT, "tokens": 3}),
        on_nodes(speculative={"model": DRAFT, "tokens": 3}, models={DRAFT: {"uri": "pvc://drafts/a"}}),
    ),
    *(
        Case(
            f"a cache on nodes and an adapter from {uri}",
            "global.llm.adapters: KServe's cache on nodes holds the model only, so that every pod would download them, and none "
            "from a claim with a model that is not cached yet; set global.llm.cache.nodeGroups: [], which keeps them on a claim",
            on_nodes(adapters={"sql": {"uri": uri}}),
            llm(adapters={"sql": {"uri": uri}}),
        )
        for uri in ("hf://example/sql", "pvc://claim/sql")
    ),
    Case(
        "a cache on nodes and a snapshot",
        "model-cache.dataSource: makes a claim, and with global.llm.cache.nodeGroups there is none; remove one of them",
        {**on_nodes(), "model-cache": {"dataSource": {"name": "weights"}}},
        {**llm(), "model-cache": {"dataSource": {"name": "weights"}}},
    ),
    Case(
        "a cache on nodes and an authority",
        "model-cache.caBundle: KServe's agents, which fill global.llm.cache.nodeGroups, do not read it; remove it, or nodeGroups",
        {**on_nodes(), "model-cache": {"caBundle": {"configMap": "company-ca"}}},
        {**llm(), "model-cache": {"caBundle": {"configMap": "company-ca"}}},
    ),
    *(
        Case(
            f"a cache on nodes and the annotation {annotation}",
            f"llm-inference-service.annotations.serving.kserve.io/{annotation}: follows from global.llm.cache.nodeGroups, whose "
            "first the service takes; remove it, or change that",
            chart(on_nodes(), annotations={f"serving.kserve.io/{annotation}": "a"}),
            chart(llm(), annotations={f"serving.kserve.io/{annotation}": "a"}),
        )
        for annotation in ("nodegroup", "disable-localmodel")
    ),
)

BUCKET = {QWEN: {"uri": "s3://bucket/qwen"}}


def streamed(**keys: Any) -> dict[str, Any]:
    """A model that vLLM reads from an object store."""
    return llm(**overlay({"models": BUCKET, "cache": {"enabled": False}, "streaming": {"enabled": True}}, keys))


def bare(**keys: Any) -> dict[str, Any]:
    """The same, downloaded by KServe."""
    return streamed(**{**keys, "streaming": {"enabled": False}})


STREAMED = (
    Case(
        "streaming with a cache",
        "global.llm.streaming.enabled: the cache would download what is streamed; set global.llm.cache.enabled: false",
        streamed(cache={"enabled": True}),
        streamed(),
    ),
    *(
        Case(
            f"streaming from {uri}",
            f"global.llm.streaming.enabled: vLLM streams from s3://, gs:// and az://, not {uri}; set another uri in "
            f"global.llm.models.{QWEN}, or streaming.enabled: false",
            streamed(models={QWEN: {"uri": uri}}),
            streamed(models={QWEN: {"uri": other}}),
        )
        for uri, other in (
            ("hf://Qwen/Qwen2.5-7B-Instruct", "s3://a/b"),
            ("pvc://claim/a", "gs://a/b"),
            ("https://a/b", "az://a/b"),
        )
    ),
    Case(
        "streaming and an adapter",
        "global.llm.adapters: KServe takes none without its storage initializer, which streaming switches off; set "
        "global.llm.streaming.enabled: false, or remove them",
        streamed(adapters={"sql": {"uri": "s3://bucket/sql"}}),
        bare(adapters={"sql": {"uri": "s3://bucket/sql"}}),
    ),
    Case(
        "streaming and a draft model",
        f"global.llm.speculative.model: {DRAFT} would have to be downloaded, and KServe downloads the model only; set "
        "global.llm.cache.enabled: true, or a uri on a claim (pvc://claim/path)",
        streamed(speculative={"model": DRAFT, "tokens": 3}),
        streamed(speculative={"model": DRAFT, "tokens": 3}, models={DRAFT: {"uri": "pvc://drafts/a"}}),
    ),
    Case(
        "streaming and the endpoint picker",
        "global.llm.router.enabled: the endpoint picker's tokenizer reads the model's files, which only KServe's storage "
        "initializer brings and streaming switches off; set global.llm.streaming.enabled: false, or router.enabled: false",
        streamed(router={"enabled": True}),
        bare(router={"enabled": True}),
    ),
    Case(
        "streaming without its format",
        "global.llm.engine.omitArgs: load-format is how weights are streamed; remove it",
        streamed(engine={"omitArgs": ["load-format"]}),
        streamed(engine={"omitArgs": ["gpu-memory-utilization"]}),
    ),
    *(
        Case(
            f"streaming and {path}",
            f"global.llm.{path}.load-format: fastsafetensors reads files, and streaming has none; set runai_streamer or "
            "runai_streamer_sharded, or remove it",
            streamed(**keys("fastsafetensors")),
            streamed(**keys("runai_streamer_sharded")),
        )
        for path, keys in (
            ("engine.args", lambda value: {"engine": {"args": {"load-format": value}}}),
            ("prefill.args", lambda value: {"prefill": {"enabled": True, "args": {"load-format": value}}}),
        )
    ),
    Case(
        "streaming and the script of the preset",
        "global.llm.engine.env.KSERVE_INFER_ROCE: is read by the script of KServe's preset, which an engine that streams does "
        "not run; set NCCL_IB_HCA, NCCL_IB_GID_INDEX, UCX_NET_DEVICES and NVSHMEM_HCA_LIST to the devices of the nodes",
        streamed(engine={"env": {"KSERVE_INFER_ROCE": "true"}}),
        bare(engine={"env": {"KSERVE_INFER_ROCE": "true"}}),
    ),
)

FLOW = {"enabled": True, "flowControl": {"enabled": True}}
HELD = (
    Case(
        "requests held by nobody",
        "global.llm.router.flowControl.enabled: there is no endpoint picker to hold requests; set "
        "global.llm.router.enabled: true",
        llm(router={**FLOW, "enabled": False}),
        llm(router=FLOW),
    ),
    Case(
        "a limit to what is not held",
        "global.llm.router.flowControl.defaultRequestTTL: is set and no request is held; set "
        "global.llm.router.flowControl.enabled: true, or remove it",
        llm(router={"enabled": True, "flowControl": {"defaultRequestTTL": 300}}),
        llm(router=overlay(FLOW, {"flowControl": {"defaultRequestTTL": 300}})),
    ),
)

MODE_CASES = (
    *HELD,
    *LAYOUT,
    *PREFILLED,
    *OFFLOADED,
    *ADAPTERS,
    *ARGUMENTS,
    *CLAIMS,
    *SPECULATIVE,
    *ROLLOUT,
    *NODE_LOCAL,
    *STREAMED,
    *CHART,
)
