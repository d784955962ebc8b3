"""KEDA's real admission: what it refuses of ScaledObjects, asked as a release's are."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest

from hack import keda, platform
from hack.kube import Object, until
from hack.shell import CommandFailed
from tests.harness.controlplane import ControlPlane, install_keda, namespace, running

NAMESPACE = "scaled"
CRON = {"timezone": "Etc/UTC", "start": "0 6 * * *", "end": "0 20 * * *", "desiredReplicas": "2"}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own: KServe's controller, which runs in the others', knows a kind of the same name."""
    with running(tmp_path_factory.mktemp("keda")) as plane:
        install_keda(plane)
        namespace(plane, NAMESPACE)
        yield plane


def scaled_object(name: str, *triggers: Object) -> Object:
    found = deepcopy(keda.REFUSED)
    found["metadata"] = {"name": name, "namespace": NAMESPACE}
    found["spec"]["triggers"] = list(triggers)
    return found


def test_a_second_one_for_the_same_workload_is_refused(plane: ControlPlane) -> None:
    trigger = {"type": "cron", "metadata": CRON}
    plane.cluster.apply([scaled_object("first", trigger)])
    words = "the workload 'probe' of type 'apps/v1.Deployment' is already managed by the ScaledObject 'first'"

    def refused() -> bool:
        """It is, once the webhook's own view has the first."""
        try:
            plane.cluster.apply([scaled_object("second", trigger)], dry_run=True)
        except CommandFailed as error:
            return words in error.output
        return False

    until(refused, 10, "the second is not refused")


def test_what_it_cannot_be_asked_about_passes(plane: ControlPlane) -> None:
    """So an install waits for a refusal: an object that is taken shows nothing."""
    assert platform.refused_by(plane.cluster, keda.REFUSED, keda.WEBHOOK)
    plane.end("keda-admission-webhooks")
    assert not platform.refused_by(plane.cluster, keda.REFUSED, keda.WEBHOOK)
    plane.cluster.apply([scaled_object("third", *keda.REFUSED["spec"]["triggers"])], dry_run=True)
