"""`make platform`: what a real cluster needs besides releases, by helmfile; each part can be left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hack import deps, gobuild, keda, kserve, paths, platform
from hack.console import StepFailed, Timeline
from hack.kube import Cluster
from hack.paths import ROOT
from hack.shell import run

FILE = ROOT / "hack" / "helmfile.yaml.gotmpl"
# What a person switches, and its name in the file.
PARTS = {
    "CERT_MANAGER": "certManager",
    "GATEWAY": "gateway",
    "LWS": "leaderWorkerSet",
    "KEDA": "keda",
    "PROMETHEUS": "prometheus",
}


def parts(arguments: Sequence[str]) -> dict[str, bool]:
    """What to install: all, but for parts given as `KEDA=false`."""
    wanted = dict.fromkeys(PARTS, True)
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name not in PARTS:
            raise StepFailed(f"{argument}: there is no such part; choose from {', '.join(PARTS)}")
        if value not in ("true", "false"):
            raise StepFailed(
                f"{name}: {value!r} is neither true nor false; false leaves it out, for a cluster that has it already"
            )
        wanted[name] = value == "true"
    return wanted


def command(verb: str, wanted: Mapping[str, bool]) -> list[str | Path]:
    """helmfile with `verb` (sync, list, template) for these parts."""
    values = ",".join(f"{PARTS[name]}.enabled={str(on).lower()}" for name, on in wanted.items())
    helm = gobuild.program("helm")
    return [gobuild.program("helmfile"), "--helm-binary", helm, "--file", FILE, "--state-values-set", values, verb]


def install(cluster: Cluster, wanted: Mapping[str, bool]) -> None:
    """Resource definitions that no chart has, then the charts in their order, then a controller that knows all kinds."""
    timeline = Timeline()
    with timeline.step("helmfile (the first time it is compiled from its Go module, for many minutes)"):
        gobuild.program("helmfile")
    with timeline.step("resource definitions"):
        cluster.apply([platform.namespace(kserve.NAMESPACE)])
        platform.crds(cluster, "")
        if wanted["GATEWAY"]:
            cluster.apply(kserve.inference_crds())
    with timeline.step(f"charts: {', '.join(name for name, on in wanted.items() if on)}, kserve-controller"):
        deps.build()
        pulled = paths.cache() / "helmfile"
        run(*command("sync", wanted), env={"KUBECONFIG": str(cluster.kubeconfig), "HELMFILE_CACHE_HOME": str(pulled)})
    with timeline.step("controller") as step:
        for crd in (*kserve.optional_crds(), *keda.crds()):
            if cluster.get("crd", crd["metadata"]["name"]):
                platform.known_to_kserve(cluster, crd["metadata"]["name"], step.note)
        platform.wait_serving(cluster)
