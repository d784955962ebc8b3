"""The calculation of docs/autoscaling.md: current, about what the charts render, and right in cases that one can count."""

from __future__ import annotations

import pytest

from hack import scaling
from hack.paths import ROOT
from tests.unit.test_autoscaling import scaled, spec


def test_the_documented_table_is_current() -> None:
    assert scaling.table() in (ROOT / "docs" / "autoscaling.md").read_text()


@pytest.mark.parametrize("start", [30, 181, 1500])
def test_what_is_calculated_is_what_is_rendered(start: int) -> None:
    behavior = spec(scaled(startSeconds=start))["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    way = scaling.ours(start)
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == way.window
    assert {policy["periodSeconds"] for policy in behavior["scaleUp"]["policies"]} == {way.period}
    for count in (1, 2, 5):
        steps = [p["value"] * count // 100 if p["type"] == "Percent" else p["value"] for p in behavior["scaleUp"]["policies"]]
        assert max(steps) == way.add(count)
        # The API server keeps whole engines of what a share leaves.
        down = behavior["scaleDown"]["policies"]
        left = [count - p["value"] if p["type"] == "Pods" else count * p["value"] // 100 for p in down]
        assert count - min(left) == way.stop(count)


def test_a_load_that_one_engine_serves_costs_one() -> None:
    assert scaling.cost(scaling.ours(60), 60, lambda _: 0.7) == scaling.Cost(0, 90, 1)


def test_nothing_helps_before_an_engine_has_started() -> None:
    """Twice the load for ninety minutes, engines that need longer than that: all but those of the first seconds are late."""
    found = scaling.cost(scaling.ours(6000), 6000, lambda _: 2)
    assert found.late > 99
    assert found.most == scaling.MOST
