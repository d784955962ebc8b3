"""What a way to scale costs where engines start slowly: `python -m hack scaling` prints the table of docs/autoscaling.md.

A load that grows from one moment to the next, engines of which each computes ten requests of ten seconds at once, and a count
that is looked at every fifteen seconds as a HorizontalPodAutoscaler does: wanted is running and waiting requests by the target.
No noise, no failures: what differs between two columns is the way to scale alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

SLOTS, SECONDS, TARGET, MOST = 10, 10.0, 8, 8
SYNC, HORIZON, PATIENCE = 15, 5400, 5.0
STARTS = (30, 120, 410, 900, 1500)

Load = Callable[[int], float]


@dataclass(frozen=True)
class Way:
    """How many may be added in `period` seconds, by their number; after `window` seconds `stop` of them end every `pause`."""

    title: str
    add: Callable[[int], int]
    period: int
    window: int
    stop: Callable[[int], int]
    pause: int = 60


@dataclass(frozen=True)
class Cost:
    """Requests that waited longer than five seconds, in percent; minutes of all engines; the most engines."""

    late: float
    minutes: float
    most: int


def ours(start: int) -> Way:
    """llm-common.scalingBehavior."""
    return Way("derived", lambda count: max(2, count), 60, window(start), lambda count: count - count // 2)


def window(start: int) -> int:
    """The derived one, before an engine is stopped."""
    return min(max(2 * start, 300), 3600)


def one(count: int) -> int:
    """Whatever the number is."""
    return 1


def ways(start: int) -> tuple[Way, ...]:
    """What is compared."""
    return (
        ours(start),
        Way("Kubernetes' default", lambda count: max(4, count), 15, 300, lambda count: count, 15),
        Way("one a minute", one, 60, window(start), one),
        Way("one a start", one, start, window(start), one),
    )


def step(low: float, high: float, seconds: int) -> Load:
    """Engines' worth of load: `low`, and `high` for so long from the tenth minute on."""
    return lambda at: high if 600 <= at < 600 + seconds else low


def wave(low: float, high: float, seconds: int) -> Load:
    """The same again and again."""
    return lambda at: high if at >= 600 and (at - 600) // seconds % 2 == 0 else low


LOADS: dict[str, Load] = {
    "1 to 2 engines' worth for 40 min": step(0.8, 1.6, 2400),
    "1 to 3 for 40 min": step(0.8, 2.4, 2400),
    "1 to 3 for 5 min": step(0.8, 2.4, 300),
    "1 to 3 and back every 10 min": wave(0.8, 2.4, 600),
}


def cost(way: Way, start: int, load: Load) -> Cost:
    """Ninety minutes, second by second."""
    ready, starting, queue = 1, list[int](), 0.0
    wanted: list[tuple[int, int]] = []
    added: list[tuple[int, int]] = []
    stopped = -HORIZON
    late = asked = engines = 0.0
    most = 1
    for at in range(HORIZON):
        ready += sum(when == at for when in starting)
        starting = [when for when in starting if when > at]
        rate, capacity = load(at) * SLOTS / SECONDS, ready * SLOTS / SECONDS
        queue = max(0.0, queue + rate - capacity)
        asked += rate
        late += rate * (queue / capacity > PATIENCE)
        count = ready + len(starting)
        engines += count
        most = max(most, count)
        if at % SYNC:
            continue
        demand = queue + min(ready * SLOTS, rate * SECONDS if queue == 0 else math.inf)
        need = count if abs(demand / TARGET / count - 1) <= 0.1 else min(MOST, max(1, math.ceil(demand / TARGET)))
        wanted = [(when, number) for when, number in [*wanted, (at, need)] if when > at - way.window]
        if need > count:
            recently = sum(number for when, number in added if when > at - way.period)
            more = min(need - count, max(0, way.add(count - recently) - recently))
            added.append((at, more))
            starting += [at + start] * more
        elif (enough := max(number for _, number in wanted)) < count and at - stopped >= way.pause:
            stopped = at
            for _ in range(min(way.stop(count), count - enough)):
                if starting:
                    starting.pop()
                else:
                    ready -= 1
    return Cost(100 * late / asked, engines / 60, most)


def table() -> str:
    """Markdown."""
    titles = [way.title for way in ways(0)]
    lines = [f"| load | start | {' | '.join(titles)} |", f"|---|---|{'---|' * len(titles)}"]
    for title, load in LOADS.items():
        for start in STARTS:
            costs = [cost(way, start, load) for way in ways(start)]
            cells = [f"{found.late:.0f} %, {found.minutes:.0f} min, {found.most}" for found in costs]
            lines.append(f"| {title} | {start} s | {' | '.join(cells)} |")
    return "\n".join(lines)
