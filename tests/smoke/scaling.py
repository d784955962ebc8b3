"""What scales, as seen from outside, and schedules that a test can wait for."""

from __future__ import annotations

import datetime
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hack import demo, prometheus
from hack.kube import Cluster, conditions, until


@dataclass
class Watch:
    """What can be seen of a Deployment (or another `kind`) and of its ScaledObject, every other second: each look costs two calls
    of kubectl."""

    cluster: Cluster
    child: str
    kind: str = "deployment"
    began: float = field(default_factory=time.monotonic)
    rows: list[tuple[float, float | None, int, int]] = field(default_factory=list)
    query: str = ""

    def look(self) -> None:
        target = self.cluster.get(self.kind, self.child, "-n", demo.NAMESPACE) or {"spec": {}}
        ready = target.get("status", {}).get("readyReplicas", 0)
        row = (time.monotonic() - self.began, self.metric(), target["spec"].get("replicas", 0), ready)
        self.rows.append(row)

    def metric(self) -> float | None:
        """What KEDA's first question to Prometheus is answered."""
        if not self.query:
            found = self.cluster.get("scaledobject", self.child, "-n", demo.NAMESPACE) or {"spec": {"triggers": []}}
            self.query = next((t["metadata"]["query"] for t in found["spec"]["triggers"] if t["type"] == "prometheus"), "")
        if not self.query:
            return None
        told = prometheus.ask(self.cluster, "api/v1/query", check=False, query=self.query)
        results = json.loads(told)["data"]["result"] if told else []
        return float(results[0]["value"][1]) if results else None

    @property
    def count(self) -> int:
        """The number of engines that is wanted now."""
        return self.rows[-1][2] if self.rows else 0

    @property
    def ready(self) -> int:
        return self.rows[-1][3] if self.rows else 0

    def until(self, happened: Callable[[], bool], timeout: float, otherwise: str) -> None:
        try:
            until(happened, timeout, otherwise)
        except TimeoutError as error:
            autoscaler = self.cluster.get("hpa", f"keda-hpa-{self.child}", "-n", demo.NAMESPACE)
            told = [self.table(), self.conditions(), (autoscaler or {}).get("status")]
            raise TimeoutError("\n".join(map(str, (error, *told)))) from error

    def hold(self, count: int, seconds: float) -> None:
        """The wanted number stays `count` for so long."""
        first = len(self.rows)
        time.sleep(seconds)
        assert {row[2] for row in self.rows[first:]} == {count}, self.table()

    def conditions(self) -> dict[str, str]:
        """The ScaledObject's: type to status and message."""
        found = conditions(self.cluster.get("scaledobject", self.child, "-n", demo.NAMESPACE))
        return {kind: f"{c['status']}: {c.get('message', '')}" for kind, c in found.items()}

    def table(self) -> str:
        """When what changed: seconds, metric, wanted, ready."""
        lines, last = [], None
        for at, metric, wanted, ready in self.rows:
            if (wanted, ready, metric is None) != last:
                lines.append(
                    f"{at:6.0f} s  metric {'none' if metric is None else f'{metric:g}':>5}  wanted {wanted}  ready {ready}"
                )
            last = (wanted, ready, metric is None)
        return "\n".join(lines)


@contextmanager
def watched(cluster: Cluster, child: str, kind: str = "deployment") -> Iterator[Watch]:
    """A Watch that looks for as long as the block lasts, and prints what it saw."""
    watch, done = Watch(cluster, child, kind), threading.Event()

    def run() -> None:
        while not done.is_set():
            watch.look()
            done.wait(2)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        done.set()
        thread.join()
        print(watch.table())


def schedule(start: int, end: int) -> dict[str, str]:
    """From and to so many minutes after the next full one that is not about to begin."""
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=80)
    told = {}
    for name, minutes in (("start", start), ("end", end)):
        at = now + datetime.timedelta(minutes=minutes)
        told[name] = f"{at.minute} {at.hour} * * *"
    return {"timezone": "Etc/UTC", **told, "desiredReplicas": "1"}
