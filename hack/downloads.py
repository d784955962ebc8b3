"""What the download Jobs of releases say: how far they are, or why they ended."""

from __future__ import annotations

from typing import Any

from hack.kube import Cluster, conditions, holds

JOB = "llm-stack.io/job"
LABEL = "app.kubernetes.io/component=download"


def report(cluster: Cluster) -> str:
    """A line for each download Job of the cluster: its pod's last words, or the last line of its log."""
    return "\n".join(
        f"download {job['metadata']['namespace']}/{_line(cluster, job)}" for job in cluster.items("jobs", "-A", "-l", LABEL)
    )


def _line(cluster: Cluster, job: Any) -> str:
    name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
    pods = cluster.items("pods", "-n", namespace, "-l", f"{JOB}={name}", "--sort-by=.metadata.creationTimestamp")
    if not pods:
        return f"{name}: no pod"
    (status,) = pods[-1]["status"].get("containerStatuses") or [{}]
    ended = status.get("state", {}).get("terminated", {})
    if ended:
        return f"{name}: {ended.get('message') or ended.get('reason')}"
    if "running" in status.get("state", {}):
        log = cluster.kubectl("-n", namespace, "logs", pods[-1]["metadata"]["name"], "--tail=1", check=False)
        return f"{name}: {log.strip() or 'running'}"
    waiting = status.get("state", {}).get("waiting", {})
    unscheduled = "" if holds(pods[-1], "PodScheduled") else conditions(pods[-1]).get("PodScheduled", {}).get("message")
    told = waiting.get("message") or waiting.get("reason") or unscheduled
    return f"{name}: {told or pods[-1]['status']['phase']}"


def remove_failed(cluster: Cluster, namespace: str, release: str) -> list[str]:
    """Delete the release's download Jobs that failed, so that an upgrade makes them again; their names."""
    jobs = cluster.items("jobs", "-n", namespace, "-l", f"{LABEL},app.kubernetes.io/instance={release}")
    failed = [job["metadata"]["name"] for job in jobs if holds(job, "Failed")]
    if failed:
        cluster.kubectl("-n", namespace, "delete", "job", *failed)
    return failed
