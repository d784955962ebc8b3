"""What every test needs: the charts' dependencies packed from the present sources."""

from __future__ import annotations

import pytest

from hack import deps


@pytest.fixture(scope="session", autouse=True)
def packed_charts() -> None:
    """Once a worker; the first packs, and the others wait for its lock and find nothing to do."""
    deps.build()
