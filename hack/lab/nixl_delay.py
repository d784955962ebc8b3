"""vLLM plugin of the engine image, run in each of its processes: a pause between two polls of NIXL's progress thread.

NIXL polls without one (`pthrDelay = 0` in its Python API, and vLLM has no setting for it): a core an engine, busy even when
nothing is asked, and on few cores the thread starves the very transfer that it is to drive. $NIXL_PTHR_DELAY_US is the pause in
microseconds; without it nothing is imported and nothing changes. Needs nothing of this project.
"""

from __future__ import annotations

import os
from typing import Any


def register() -> None:
    """Entry point in group `vllm.general_plugins`."""
    delay = os.environ.get("NIXL_PTHR_DELAY_US")
    if not delay:
        return
    # UCX reads it when it is loaded, which is now; vLLM sets the same before it loads NIXL itself.
    os.environ.setdefault("UCX_RCACHE_MAX_UNRELEASED", "1024")
    from nixl_cu13 import _bindings

    agent = _bindings.nixlAgent

    def with_pause(name: str, config: Any) -> Any:
        config.pthrDelay = int(delay)
        return agent(name, config)

    _bindings.nixlAgent = with_pause
