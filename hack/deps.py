"""`make deps`: the charts' file:// dependencies, packed bottom-up and only when their content has changed.

`helm dependency build` is not recursive and a packed copy goes stale silently, so a stamp of all that was packed into each
chart's `charts/` folder is kept in the cache. KServe's presets are copied from the pinned module for the same reason: they are
data of the controller chart that we do not commit.
"""

from __future__ import annotations

from pathlib import Path

from hack import cached, gobuild, paths, presets
from hack.paths import CHARTS
from hack.schemas import chart_metadata, charts
from hack.shell import run


def content(chart: str) -> str:
    """A key of a chart's own files and of all charts that it packs."""
    folder = CHARTS / chart
    own = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and "charts" not in path.relative_to(folder).parts[:-1] and path.name != "Chart.lock"
    )
    packed = [content(dependency["name"]) for dependency in chart_metadata(chart).get("dependencies", [])]
    return cached.key([str(path.relative_to(folder)) for path in own], *own, packed)


def build() -> list[str]:
    """Bring every chart's `charts/` folder up to date; returns the charts that were packed anew."""
    with cached.lock(f"deps-{cached.key(str(CHARTS))}"):
        presets.write(CHARTS / "kserve-controller" / "files")
        packed = []
        for chart in charts():  # leaves first, the umbrella last
            dependencies = [dependency["name"] for dependency in chart_metadata(chart).get("dependencies", [])]
            # Not beside the packed charts: helm and ct take every file there for an archive.
            stamp = paths.cache() / "deps" / f"{chart}-{cached.key(str(CHARTS))}"
            want = cached.key([content(name) for name in dependencies])
            folder = CHARTS / chart / "charts"
            if len(list(folder.glob("*.tgz"))) == len(dependencies) and stamp.exists() and stamp.read_text() == want:
                continue
            cached.remove(folder)
            run(gobuild.program("helm"), "dependency", "update", "--skip-refresh", CHARTS / chart)
            cached.remove(CHARTS / chart / "Chart.lock")
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.write_text(want)
            packed.append(chart)
        return packed


def packed_charts() -> list[Path]:
    """Every packed chart, for the test that compares them with their sources."""
    return sorted(CHARTS.glob("*/charts/*.tgz"))
