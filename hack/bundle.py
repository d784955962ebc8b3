"""`make bundle`: what a cluster without a network needs, in one folder: charts, values, resource definitions, images by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hack import cached, deps, documents, gobuild, kserve, paths, preflight
from hack.console import StepFailed, say
from hack.paths import CHARTS, VALUES
from hack.shell import run

SCRIPT = paths.ROOT / "hack" / "bundle.sh"
PLATFORM = ("kserve-controller", kserve.NAMESPACE)


def bundle(values: Path, name: str, namespace: str, target: Path) -> None:
    """Write the bundle for a release with `values` and for the platform below it into the folder `target`, which is replaced."""
    deps.build()
    cached.remove(target)
    target.mkdir(parents=True)
    run(gobuild.program("helm"), "package", CHARTS / "llm-stack", "--destination", target)
    for file in (values, VALUES / "platform.yaml"):
        shutil.copy(file, target / file.name)
    (target / "crds.yaml").write_text(documents.dump_all(kserve.crds("")))
    shutil.copy(SCRIPT, target / SCRIPT.name)
    found = images(values, name, namespace)
    if by_digest := [image for image in found if "@" in image]:
        raise StepFailed(
            f"image {by_digest[0]}: is named by its digest, which docker does not carry along; set a tag for the bundle"
        )
    (target / "images.txt").write_text("".join(f"{image}\n" for image in found))
    say(f"{target}: {len(found)} images to carry (./bundle.sh save, then load), charts, values and resource definitions")


def images(values: Path, name: str, namespace: str) -> list[str]:
    """Every image of a release and of the platform, each with its registry: by what the charts render."""
    objects = [*preflight.objects(values, name, namespace), *preflight.objects(VALUES / "platform.yaml", *PLATFORM)]
    return sorted({image for obj in objects for image in _images(obj)})


def _images(value: Any) -> Iterator[str]:
    """What stands under a key `image`, also within JSON that is kept as text (KServe's configuration)."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "image" and isinstance(item, str):
                yield item
            else:
                yield from _images(item)
    elif isinstance(value, list):
        for item in value:
            yield from _images(item)
    elif isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            yield from _images(json.loads(value))
        except ValueError:
            return
