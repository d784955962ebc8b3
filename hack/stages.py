"""The stages of `make test`, `make smoke` and their siblings: each by name, each with its time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from hack import cluster, demo, deps, gobuild, platform, schemas
from hack.console import StepFailed, Timeline, say
from hack.paths import CHARTS, ROOT, VALUES
from hack.shell import Arg, run

PROGRAMS = (
    *("helm", "helm3", "ct", "kubectl", "etcd", "kube-apiserver", "llmisvc-controller", "kwok", "lws-controller"),
    *("keda-admission-webhooks", "prometheus", "epp"),
)
WORKERS = ("-n", str(os.cpu_count() or 2))


def run_stages(names: list[str]) -> None:
    """Run the named stages in order; the first that fails ends the run, with what it printed."""
    timeline = Timeline()
    try:
        with timeline.step("set-up: programs and chart dependencies") as step:
            for name in PROGRAMS:
                step.note(f"{name} (the first time it is compiled from its Go module)")
                gobuild.program(name)
            deps.build()
        for name in names:
            with timeline.step(name):
                STAGES[name]()
    finally:
        say("")
        say(timeline.table())


def show(*command: Arg) -> None:
    """Run a program whose output is for the person; StepFailed names it when it fails."""
    done = run(*command, cwd=ROOT, check=False, env={"PYTHONUNBUFFERED": "1"})
    text = (done.stdout + done.stderr).rstrip()
    if done.returncode:
        say(text)
        raise StepFailed(f"`{' '.join(str(word) for word in command)[:200]}` failed")
    for line in text.splitlines()[-12:]:
        if line.strip(" .") and not line.endswith("%]"):  # no rows of dots
            say(f"    {line}")


def verify() -> None:
    """Generated files are current; nothing is written."""
    stale = [path for path, content in schemas.outputs() if not path.exists() or path.read_text() != content]
    if stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        raise StepFailed(f"out of date: {names}; run make generate and commit")


def lint() -> None:
    """Python, YAML, shell and charts."""
    python = sys.executable
    show(python, "-m", "ruff", "check", "charts", "hack", "tests")
    show(python, "-m", "ruff", "format", "--check", "charts", "hack", "tests")
    show(python, "-m", "mypy")
    # Flat modules that import each other, with libraries of their image that are not here.
    show(python, "-m", "mypy", "--ignore-missing-imports", *sorted((CHARTS / "model-cache" / "files").glob("*.py")))
    show(python, "-m", "yamllint", "--strict", "-c", ".yamllint.yaml", ".")
    show("shellcheck", *_shell_scripts())
    helm = gobuild.program("helm")
    for chart, values in _lint_cases():
        show(
            helm,
            "lint",
            "--strict",
            "--quiet",
            "--namespace",
            "kserve",
            CHARTS / chart,
            *(("--values", values) if values else ()),
        )
    schema = gobuild.module_dir("chart-testing") / "etc" / "chart_schema.yaml"
    config = ("--config", "ct.yaml", "--chart-yaml-schema", schema, "--lint-conf", ".yamllint.yaml")
    show(gobuild.program("ct"), "lint", *config, "--check-version-increment=false")


def _shell_scripts() -> list[Path]:
    """Files with a shell's first line, wherever they are."""
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout.split()
    return [ROOT / name for name in tracked if _first_line(ROOT / name).startswith(("#!/bin/sh", "#!/bin/bash"))]


def _first_line(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as handle:
        return handle.readline().decode(errors="replace")


def _lint_cases() -> list[tuple[str, Path | None]]:
    """Charts with the values that they can be linted with: the library renders nothing, a subchart needs a model."""
    umbrella = [(schemas.UMBRELLA, values) for values in sorted(VALUES.glob("*.yaml"))]
    alone = [(path.parent.parent.name, path) for path in sorted(CHARTS.glob("*/ci/*-values.yaml"))]
    return [(schemas.LIBRARY, None), *umbrella, *alone]


def pytest(*arguments: str) -> Callable[[], None]:
    """A stage that runs pytest."""

    def stage() -> None:
        show(sys.executable, "-m", "pytest", "-q", *arguments)

    return stage


def smoke(*arguments: str) -> Callable[[], None]:
    """A stage that brings the demo up, adds what the other modes need, and runs the smoke tests in its cluster."""

    def stage() -> None:
        demo.demo(also=cluster.MODES)
        timeline = Timeline()
        with timeline.step("platform: LeaderWorkerSet") as step:
            platform.install_lws(cluster.cluster(), step.note)
        with timeline.step("platform: KEDA") as step:
            platform.install_keda(cluster.cluster(), step.note)
        with timeline.step("platform: Prometheus") as step:
            platform.install_prometheus(cluster.cluster(), step.note)
        pytest("tests/smoke", "--kubeconfig", str(cluster.kubeconfig()), "--durations=0", "--durations-min=5", *arguments)()

    return stage


def smoke_full() -> None:
    """The long matrix in the cluster, a hundred random schedules of faults for the download in processes, and helmfile."""
    smoke("--full")()
    os.environ["LLM_STACK_SCHEDULES"] = "100"
    pytest("tests/consumer/test_download.py", "-k", "whatever_happens")()
    gobuild.program("helmfile")
    pytest("tests/consumer/test_helmfile.py")()


STAGES: dict[str, Callable[[], None]] = {
    "verify": verify,
    "lint": lint,
    "render": pytest(*WORKERS, "tests/unit", "tests/schema", "tests/invariants", "tests/golden"),
    "consumer": pytest(*WORKERS, "tests/consumer"),
    # A control plane for each worker, and what stands in one file in one of them.
    "controlplane": pytest(*WORKERS, "--dist", "loadfile", "tests/controlplane"),
    "smoke": smoke(),
    "smoke-full": smoke_full,
}
