"""Every invariant runs over every values file: those that users start from, and those of the goldens."""

from __future__ import annotations

import pytest

from tests.harness import EXAMPLES, SCENARIOS, Scenario


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize("scenario", (*SCENARIOS, *EXAMPLES), ids=str)


@pytest.fixture
def model(scenario: Scenario) -> bool:
    """Whether the scenario is of the model plane."""
    return scenario.name != "platform"
