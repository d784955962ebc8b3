"""Values files to render: each under values/, and those of tests/golden/values, which a user would copy from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hack import paths

CONTROLLER_NAMESPACE = "kserve"
EXAMPLE_VALUES = paths.ROOT / "tests" / "golden" / "values"


@dataclass(frozen=True)
class Scenario:
    """A values file of the umbrella chart, with the namespace that it is installed into."""

    name: str
    namespace: str
    file: Path

    def __str__(self) -> str:
        return self.name


def _scenarios(folder: Path) -> tuple[Scenario, ...]:
    return tuple(
        Scenario(path.stem, CONTROLLER_NAMESPACE if path.stem == "platform" else "llm", path)
        for path in sorted(folder.glob("*.yaml"))
    )


SCENARIOS = _scenarios(paths.VALUES)
EXAMPLES = _scenarios(EXAMPLE_VALUES)
