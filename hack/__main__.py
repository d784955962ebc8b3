"""`python -m hack COMMAND`: what the Makefile's recipes call."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from hack.console import StepFailed, fail, say
from hack.diff import UNKNOWN
from hack.kube import Cluster, Object
from hack.shell import CommandFailed


def _demo(name: str) -> Callable[[list[str]], None]:
    def command(_arguments: list[str]) -> None:
        from hack import demo

        getattr(demo, name)()

    return command


def _deps(_arguments: list[str]) -> None:
    from hack import deps

    packed = deps.build()
    say(f"packed: {', '.join(packed)}" if packed else "dependencies are current")


def _generate(_arguments: list[str]) -> None:
    from hack import schemas

    changed = schemas.generate()
    say("\n".join(map(str, changed)) or "generated files are current")


def _flags(_arguments: list[str]) -> None:
    from hack import flags

    flags.generate(_arguments)


def _stages(arguments: list[str]) -> None:
    from hack import stages

    stages.run_stages(arguments)


def _golden(_arguments: list[str]) -> None:
    from hack import golden, stages

    golden.rewrite([])
    os.environ["LLM_STACK_REWRITE_GOLDENS"] = "1"  # what KServe's controller makes needs the control plane
    stages.pytest("tests/controlplane/test_merged.py")()


def _current_cluster() -> Cluster:
    """The demo cluster if it runs, else the one of the user's own kubeconfig."""
    from hack import cluster

    if cluster.exists():
        return cluster.cluster()
    kubeconfig = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    if not kubeconfig.is_file():
        raise StepFailed(f"kubeconfig: there is no file {kubeconfig}; set KUBECONFIG to your cluster's, or run make demo")
    return Cluster(kubeconfig)


def _crds(arguments: list[str]) -> None:
    from hack import platform

    if arguments and not Path(arguments[0]).is_file():
        raise StepFailed(
            f"CA: there is no file {arguments[0]}; set CA to the PEM certificates that sign the webhook's own, or leave it out"
        )
    platform.crds(_current_cluster(), Path(arguments[0]).read_text() if arguments else "")


def _platform(arguments: list[str]) -> None:
    from hack import helmfile

    wanted = helmfile.parts(arguments)
    helmfile.install(_current_cluster(), wanted)


def _preflight(arguments: list[str]) -> None:
    _release("preflight", arguments)


def _deploy(arguments: list[str]) -> None:
    from hack import downloads, localmodels, platform

    cluster, objects = _release("deploy", arguments)
    values, name, namespace = _named("deploy", arguments)
    made = localmodels.create(cluster, objects, name, namespace)
    if made:
        say(f"created before the service, which is to find it: {', '.join(made)}")
    again = downloads.remove_failed(cluster, namespace, name)
    if again:
        say(f"tried again: {', '.join(again)}")
    say("installed" if platform.release(cluster, name, namespace, values, again=bool(again)) else "unchanged")


def _bundle(arguments: list[str]) -> None:
    from hack import bundle, paths

    values, name, namespace = _named("bundle", arguments)
    bundle.bundle(values, name, namespace, paths.ROOT / "bundle")


def _prune(arguments: list[str]) -> None:
    from hack import prune

    if len(arguments) < 2:
        raise StepFailed("CLAIM, NAMESPACE: set both: make cache-prune CLAIM=demo-models NAMESPACE=demo (YES=1 removes)")
    prune.prune(_current_cluster(), arguments[1], arguments[0], remove=arguments[2:] == ["1"])


def _diff(arguments: list[str]) -> int:
    """What an upgrade would change; the statuses of hack/diff.py, so that a script can tell a change from a refusal."""
    from hack import diff, preflight

    values, name, namespace = _named("diff", arguments)
    report = diff.compare(_current_cluster(), preflight.objects(values, name, namespace), name, namespace)
    say(report.text())
    return report.status


def _scaling(_arguments: list[str]) -> None:
    from hack import scaling

    say(scaling.table())


def _scale(arguments: list[str]) -> None:
    from hack import scale

    if len(arguments) != 1 or not arguments[0].isdigit() or int(arguments[0]) < 1:
        raise StepFailed(f"N: {' '.join(arguments) or 'nothing'} is no number of releases; make scale N=30")
    scale.scale(int(arguments[0]))


def _named(command: str, arguments: list[str]) -> tuple[Path, str, str]:
    """Values file, release name and namespace as given."""
    if len(arguments) == 3 and not Path(arguments[0]).is_file():
        raise StepFailed(f"FILE: there is no file {arguments[0]}; set a values file")
    if len(arguments) != 3:
        raise StepFailed(f"FILE, NAME, NAMESPACE: set all three: make {command} FILE=values/demo.yaml NAME=demo NAMESPACE=demo")
    return Path(arguments[0]).resolve(), arguments[1], arguments[2]


def _plan(arguments: list[str]) -> None:
    from hack import preflight

    values, name, namespace = _named("plan", arguments)
    for obj in preflight.objects(values, name, namespace):
        if obj["kind"] == "ConfigMap" and "plan" in obj.get("data", {}):
            say(obj["data"]["plan"].rstrip())


def _release(command: str, arguments: list[str]) -> tuple[Cluster, list[Object]]:
    """The release of the command line, rendered and checked against the cluster."""
    from hack import preflight

    values, name, namespace = _named(command, arguments)
    cluster = _current_cluster()
    objects = preflight.objects(values, name, namespace)
    found = preflight.check(cluster, objects, namespace)
    for warning in found.warnings:
        say(f"warning: {warning}")
    if found.problems:
        raise StepFailed("the cluster is not ready:\n  - " + "\n  - ".join(found.problems))
    say("the cluster is ready for this release")
    return cluster, objects


# A command that returns a status ends with it; the others end with 0, or 1 when they fail.
COMMANDS: dict[str, Callable[[list[str]], int | None]] = {
    **{name: _demo(name) for name in ("demo", "status", "chat", "logs", "destroy")},
    "deps": _deps,
    "generate": _generate,
    "flags": _flags,
    "stages": _stages,
    "golden": _golden,
    "crds": _crds,
    "platform": _platform,
    "preflight": _preflight,
    "deploy": _deploy,
    "plan": _plan,
    "diff": _diff,
    "prune": _prune,
    "bundle": _bundle,
    "scale": _scale,
    "scaling": _scaling,
}


def main() -> int:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in COMMANDS:
        return fail(f"{' '.join(arguments) or 'no command'}: choose one of {', '.join(COMMANDS)}")
    # Ended from outside as by a person: what was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return COMMANDS[arguments[0]](arguments[1:]) or 0
    except StepFailed as error:
        failed = fail(error.reason, error.look)
    except (CommandFailed, TimeoutError) as error:
        failed = fail(str(error))
    except KeyboardInterrupt:
        failed = fail("interrupted; run the same command again, finished parts are kept")
    return UNKNOWN if arguments[0] == "diff" else failed


if __name__ == "__main__":
    sys.exit(main())
