"""KServe's presets: out of the pinned module, into the chart that installs them (`make deps`; git ignores the copies).

Two things in them are made ready for Helm, both checked against upstream by tests/consumer/test_kserve_drift.py:

* images are plain references on a line of their own, so that the chart can put the mirror's registry in;
* quantities are in Go's canonical form. The controller writes a preset back when it adds its finalizer, in that form; a quantity
  that it had to change would be its own from then on, and every `helm upgrade` of Helm 4 (server-side apply) a conflict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hack import documents, gobuild, versions
from hack.console import StepFailed

_IMAGE = re.compile(r"^ *(?:- )?image: [a-z0-9][A-Za-z0-9._/:@-]*$")
_QUANTITY = re.compile(r"^( *(?:cpu|memory|sizeLimit): )[\"']?([0-9]+[A-Za-z]*)[\"']?$", re.M)
# The names that the controller looks for (its LLM_INFERENCE_SERVICE_CONFIG_PREFIX).
_PREFIX = "kserve-"


def write(target: Path) -> list[Path]:
    """Make `target`/presets (`target` is the chart's files/) hold the presets of the pinned KServe, one file each, and NOTICE.

    A file is written only when its content differs, and a preset that this KServe no longer has is removed. Returns the paths.
    """
    pin = versions.go_modules()["kserve"]
    wanted = {"NOTICE": _notice(pin.module, pin.version)}
    for source in _sources(gobuild.module_dir("kserve") / "config" / "llmisvcconfig"):
        name, text = _normalised(source)
        wanted[f"{name}.yaml"] = text
    folder = target / "presets"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in [path for path in folder.iterdir() if path.name not in wanted]:
        stale.unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    return sorted(folder / name for name in wanted)


def canonical(quantity: str) -> str:
    """A whole Kubernetes quantity as Go writes it: `2000m` is `2`, `1024Mi` is `1Gi`."""
    found = re.fullmatch(r"([0-9]+)(m|k|M|G|T|Ki|Mi|Gi|Ti|)", quantity)
    if not found:
        raise ValueError(f"{quantity}: not a whole quantity")
    value, suffix = int(found[1]), found[2]
    ladder, step = (("Ki", "Mi", "Gi", "Ti"), 1024) if suffix.endswith("i") else (("m", "", "k", "M", "G", "T"), 1000)
    rung = ladder.index(suffix)
    while value and value % step == 0 and rung + 1 < len(ladder):
        value, rung = value // step, rung + 1
    return f"{value}{ladder[rung]}"


def quantities(node: object, inside: bool = False) -> Iterator[object]:
    """Every quantity of a document: what is below `limits` and `requests`, and sizes of volumes."""
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(value, dict | list) and (inside or key == "sizeLimit"):
                yield value
            yield from quantities(value, key in ("limits", "requests"))
    elif isinstance(node, list):
        for item in node:
            yield from quantities(item)


def _sources(folder: Path) -> list[Path]:
    """The presets that upstream's own kustomization installs, in its order."""
    return [folder / name for name in documents.load((folder / "kustomization.yaml").read_text())["resources"]]


def _normalised(source: Path) -> tuple[str, str]:
    """Name and text of a preset: a header of our making (the chart adds the metadata), then upstream's `spec`."""
    text = source.read_text()
    preset = documents.load(text)
    name = preset["metadata"]["name"]
    _, found, spec = text.partition("\nspec:\n")
    if not found or documents.load(f"spec:\n{spec}") != {"spec": preset["spec"]}:
        raise StepFailed(f"{source}: its `spec` is not the last top-level key, so hack/presets.py cannot take it over as it is")
    if preset["kind"] != "LLMInferenceServiceConfig" or not name.startswith(_PREFIX):
        raise StepFailed(f"{source}: {preset['kind']}/{name} is not a preset whose name begins with {_PREFIX}")
    for line in spec.splitlines():
        if re.match(r"^ *(- )?image:", line) and not _IMAGE.match(line):
            raise StepFailed(f"{source}: `{line.strip()}` is not a plain image reference, which the chart could not mirror")
    spec = _QUANTITY.sub(lambda match: f'{match[1]}"{canonical(match[2])}"', spec)
    odd = [
        quantity
        for quantity in quantities(documents.load(spec))
        if not isinstance(quantity, str) or canonical(quantity) != quantity
    ]
    if odd:
        raise StepFailed(f"{source}: quantities that hack/presets.py cannot bring into Go's form: {odd}")
    header = {"apiVersion": preset["apiVersion"], "kind": preset["kind"], "metadata": {"name": name}}
    return name, f"{documents.dump(header, sort_keys=False)}spec:\n{spec}"


def _notice(module: str, version: str) -> str:
    return (
        f"The presets in this folder are copied from {module} {version} (config/llmisvcconfig).\n"
        "Copyright The KServe Authors. Licensed under the Apache License, Version 2.0:\n"
        "http://www.apache.org/licenses/LICENSE-2.0\n"
        "Changed: quantities are quoted and in Go's canonical form. When the chart is rendered, metadata is added and images\n"
        "get the mirror's registry.\n"
    )
