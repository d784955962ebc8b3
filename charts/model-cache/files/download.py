"""Fills a volume with weights: once, verified, all at once. Runs in KServe's storage-initializer image, which has the libraries.

Environment: CACHE_ROOT (where the volume is mounted), CACHE_SPEC (JSON, below), JOB_NAME and JOB_NAMESPACE (whose events
tell how it went), and what the libraries of the sources read: HF_TOKEN, HF_ENDPOINT, AWS_…, HTTPS_PROXY, REQUESTS_CA_BUNDLE, ….

    items    list of {kind: model or adapter, uri, path}
    folders  list of paths that engines write to
    claim    the claim's name, for messages
    limits   as transfer.Limits
    always   whether what is published already is read again

Ends with 0; with 1 when it may go better the next time; and where it would not: 3 the source refuses, 4 the volume is full, 5
what came is not what the source says. The last message is the container's in Kubernetes, and an event of the Job.
"""

from __future__ import annotations

import datetime
import fnmatch
import functools
import json
import os
import shutil
import signal
import ssl
import sys
import time
import traceback
import urllib.request
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import sources
import store
from transfer import Failed, File, Full, Limits, Listing, Refused, Source, Transfer, pause_after

AGAIN, REFUSED, FULL, WRONG = 1, 3, 4, 5
PROGRESS_SECONDS = 10
last_said = "it had not begun"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# Weights again in another form, beside safetensors: engines do not read them.
OTHER_FORMS = (
    "*.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.h5",
    "*.msgpack",
    "*.onnx",
    "*.onnx_data",
    "*.ot",
    "*.gguf",
    "*.mlmodel",
    "*.tflite",
)
NEVER = (".git/*", ".gitattributes", "original/*", "*.lock")


def chosen(files: list[File]) -> list[File]:
    """The files that an engine reads: a hub keeps the same weights in several forms."""
    kept = [file for file in files if not any(fnmatch.fnmatch(file.name, pattern) for pattern in NEVER)]
    paths = {file: PurePosixPath(file.name) for file in kept}
    safe = [path for path in paths.values() if path.suffix == ".safetensors"]
    folders = {path.parent for path in safe}
    whole = {path.parent for path in safe if not path.name.startswith("consolidated")}
    for file, path in paths.items():
        other = path.parent in folders and any(fnmatch.fnmatch(path.name, pattern) for pattern in OTHER_FORMS)
        if other or (path.parent in whole and fnmatch.fnmatch(path.name, "consolidated*.safetensors")):
            kept.remove(file)
    for file in kept:
        parts = PurePosixPath(file.name).parts
        if file.name.startswith("/") or ".." in parts or not parts or parts[0] in (store.MANIFEST, store.PRIVATE):
            raise Refused(f"{file.name!r}: the source names a file that would be written elsewhere")
    return kept


class Progress:
    """Says how far a download is: a line in the log now and then, and the status file for those who wait."""

    def __init__(self, entry: store.Entry, uri: str) -> None:
        self.entry, self.uri = entry, uri
        self.line = self.filed = 0.0
        self.seen: deque[tuple[float, int]] = deque()

    def transfer(self, transfer: Transfer, total: int) -> None:
        now, have = time.monotonic(), transfer.present + transfer.received
        self.seen.append((now, transfer.received))
        while now - self.seen[0][0] > 30:
            self.seen.popleft()
        (then, before), rate = self.seen[0], 0.0
        if now > then:
            rate = (transfer.received - before) / (now - then)
        left = f"{store.time_text((total - have) / rate)} left" if rate else transfer.last_error or "no byte yet"
        share = 100 * have // total if total else 100
        self.say(
            "downloading", f"{store.size_text(have)} of {store.size_text(total)} ({share} %), {store.size_text(rate)}/s, {left}"
        )

    def say(self, state: str, message: str, *, now: bool = False) -> None:
        global last_said
        last_said = f"{state}: {message}"
        clock = time.monotonic()
        if now or clock - self.filed > 2:
            found = {"state": state, "message": message, "source": self.uri, "time": time.time()}
            try:
                store.write(self.entry.status, json.dumps(found))
            except OSError as error:  # a full volume must not hide the message that says so
                print(f"(cannot write {self.entry.status.name}: {error})", flush=True)
            self.filed = clock
        if now or clock - self.line > PROGRESS_SECONDS:
            print(f"{state}: {message}", flush=True)
            self.line = clock


def insistently(ask: Callable[[], Listing], limits: Limits, progress: Progress) -> Listing:
    """The answer of a source that fails now and then; Failed when it did for limits.stall_seconds."""
    end, attempt = time.monotonic() + limits.stall_seconds, 0
    while True:
        try:
            return ask()
        except Failed as error:
            attempt += 1
            pause = pause_after(error, attempt)
            if error.retry_after:
                end += pause
            elif time.monotonic() + pause > end:
                raise
            progress.say("asking", f"{error}; again in {pause:.0f} s", now=True)
            time.sleep(pause)


def provide(root: Path, item: dict[str, str], limits: Limits, always: bool) -> str:
    """Publish one item unless it is; a line that says what was done. Raises Refused, Failed, store.Wrong."""
    entry = store.Entry(root, item["path"])
    progress = Progress(entry, item["uri"])
    began = time.monotonic()
    with store.locked(entry, lambda: progress_of_other(entry)) as alone:
        if not alone:
            print(
                "this file system has no locks: what another release downloads at the same time is downloaded twice", flush=True
            )
            entry.staging = entry.staging.with_name(f"{entry.staging.name}-{os.environ.get('JOB_NAME', os.getpid())}")
        found = present(entry, always)
        if found:
            total = sum(facts["size"] for facts in found["files"].values())
            text = (
                f"{item['uri']}: there already, {store.size_text(total)}, checked in {store.time_text(time.monotonic() - began)}"
            )
        else:
            text = fetch(sources.source(item["uri"], limits), entry, item, limits, progress)
        entry.used.parent.mkdir(parents=True, exist_ok=True)
        entry.used.touch()
        progress.say("published", text, now=True)
        return text


def present(entry: store.Entry, always: bool) -> store.Json | None:
    """The manifest of what is published and whole. What is published and wrong is set aside."""
    try:
        return store.check_published(entry.published, always=always, note=lambda text: print(text, flush=True))
    except store.Wrong as error:
        print(f"{entry.path}: {error}: set aside as {entry.broken.relative_to(entry.root)}, and downloaded again", flush=True)
        store.set_aside(entry)
        return None


def progress_of_other(entry: store.Entry) -> None:
    """What the process says that holds the lock, now and then."""
    if int(time.monotonic()) % PROGRESS_SECONDS == 0:
        try:
            found = json.loads(entry.status.read_text())
        except (OSError, ValueError):
            found = {}
        print(f"another Job downloads the same: {found.get('message', 'it just began')}", flush=True)


def fetch(source: Source, entry: store.Entry, item: dict[str, str], limits: Limits, progress: Progress) -> str:
    """Download, verify and publish."""
    listing = insistently(source.listing, limits, progress)
    files = chosen(listing.files)
    total = sum(file.size for file in files)
    at = f" at {listing.revision}" if listing.revision else ""
    progress.say("downloading", f"{item['uri']}{at}: {len(files)} files, {store.size_text(total)}", now=True)
    drop_others(entry, files)
    received, seconds, checking = 0, 0.0, 0.0
    sums: dict[str, str] = {}
    todo = files
    for attempt in range(2):
        transfer = Transfer(source, entry, limits)
        begun = time.monotonic()
        transfer.run(todo, functools.partial(progress.transfer, transfer, sum(file.size for file in todo)))
        received, seconds = received + transfer.received, seconds + time.monotonic() - begun
        progress.say("verifying", f"{store.size_text(total)} of {item['uri']}", now=True)
        begun = time.monotonic()
        wrong = verify(entry, todo, sums)
        checking += time.monotonic() - begun
        if not wrong:
            break
        if attempt:
            raise store.Wrong(
                f"{item['uri']}: {next(iter(wrong.values()))}, twice; the source is broken, or something on the way changes files"
            )
        for file, why in wrong.items():
            print(f"{why}: downloaded again", flush=True)
            transfer.forget(file)
        todo = list(wrong)
    try:
        store.check_folder(entry.files, [file.name for file in files], item["kind"])
    except store.Wrong as error:
        raise store.Wrong(f"{item['uri']}: {error}") from error
    finish(entry, item, listing, files, sums)
    rate = f", {store.size_text(received / seconds)}/s" if seconds else ""
    return (
        f"{item['uri']}{at}: {len(files)} files, {store.size_text(total)}; {store.size_text(received)} downloaded in "
        f"{seconds:.2f} s{rate}, verified in {store.time_text(checking)}"
    )


def drop_others(entry: store.Entry, files: list[File]) -> None:
    """Remove what an earlier run staged and the source does not name any more."""
    names = {file.name for file in files}
    for folder in (entry.files, entry.journal):
        for path in folder.rglob("*"):
            if path.is_file() and str(path.relative_to(folder)) not in names:
                path.unlink()


def verify(entry: store.Entry, files: list[File], sums: dict[str, str]) -> dict[File, str]:
    """Compare staged files with what the source says. Their sha256 goes to `sums`; what differs is returned with why."""
    wrong = {}

    def read(file: File) -> dict[str, str]:
        return store.digests(entry.files / file.name, {*file.checksums, "sha256"})

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for file, found in zip(files, pool.map(read, files), strict=True):
            sums[file.name] = found["sha256"]
            for name, expected in file.checksums.items():
                if found[name] != expected:
                    wrong[file] = f"{file.name}: {name} is {found[name]} and the source says {expected}"
    return wrong


def finish(entry: store.Entry, item: dict[str, str], listing: Listing, files: list[File], sums: dict[str, str]) -> None:
    facts = {f.name: {"size": f.size, "sha256": sums[f.name], "comparedBy": sorted(f.checksums)} for f in files}
    manifest = {
        "format": store.FORMAT,
        "source": item["uri"],
        "revision": listing.revision,
        "published": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "files": facts,
    }
    try:
        store.publish(entry, manifest)
    except OSError:
        # Without locks another one may have been first; then its folder is as good.
        if store.check_published(entry.published) is None:
            raise
        shutil.rmtree(entry.staging, ignore_errors=True)


# --- how it ends ------------------------------------------------------------------------------------------------------


def event(kind: str, reason: str, message: str) -> None:
    """An event of the Job, where there is one: `kubectl describe job` and `kubectl get events` show it."""
    name, namespace = os.environ.get("JOB_NAME"), os.environ.get("JOB_NAMESPACE")
    if not (name and namespace and ACCOUNT.exists()):
        return
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        uid = cluster(f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")["metadata"]["uid"]
        body = {
            "metadata": {"generateName": f"{name}-", "namespace": namespace},
            "involvedObject": {"apiVersion": "batch/v1", "kind": "Job", "name": name, "namespace": namespace, "uid": uid},
            "source": {"component": "model-cache"},
            "type": kind,
            "reason": reason,
            "message": message[:1000],
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        cluster(f"/api/v1/namespaces/{namespace}/events", body)
    except (OSError, ValueError, KeyError) as error:
        print(f"(no event could be made: {error})", flush=True)


def cluster(path: str, body: store.Json | None = None) -> store.Json:
    """One request to the API server: never through a proxy, and trusted by the account's own certificate."""
    server = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    headers = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": "application/json"}
    trusted = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt")))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trusted)
    data = json.dumps(body).encode() if body else None
    with opener.open(urllib.request.Request(server + path, data, headers), timeout=10) as answer:
        found: store.Json = json.load(answer)
    return found


def fail(entry: store.Entry | None, code: int, message: str) -> None:
    text = f"{message} (the Job tries again and goes on from where it was)" if code == AGAIN else message
    if entry:
        Progress(entry, "").say("failed", text, now=True)
    store.last_words(text)
    event("Warning", "DownloadFailed", text)
    sys.exit(code)


def stopped(*_: object) -> None:
    """SIGTERM: a drained node, a Job that was deleted, or the end of the time."""
    store.last_words(
        f"stopped from outside, by the end of its time (global.llm.cache.deadlineSeconds) or with its node; {last_said}"
    )
    sys.exit(128 + signal.SIGTERM)


def main() -> None:
    signal.signal(signal.SIGTERM, stopped)
    for name in os.environ:
        if name.startswith(("AWS_", "HF_")):  # a Secret made of a file ends in a line feed
            os.environ[name] = os.environ[name].strip()
    spec: dict[str, Any] = json.loads(os.environ["CACHE_SPEC"])
    root, limits = Path(os.environ["CACHE_ROOT"]), Limits(**spec["limits"])
    entry, texts = None, []
    try:
        for folder in spec["folders"]:
            (root / folder).mkdir(parents=True, exist_ok=True)  # of this user, as the kubelet would not make them
        for item in spec["items"]:
            entry = store.Entry(root, item["path"])
            texts.append(provide(root, item, limits, spec["always"]))
    except Full as error:
        fail(
            entry,
            FULL,
            f"claim {spec['claim']}: {error}; make it larger (global.llm.cache.size, where its class can expand), or free room "
            "on it",
        )
    except Refused as error:
        fail(entry, REFUSED, str(error))
    except store.Wrong as error:
        fail(entry, WRONG, str(error))
    except Failed as error:
        fail(entry, AGAIN, str(error))
    except OSError as error:
        full = "No space left" in str(error) or "quota" in str(error)
        fail(entry, FULL if full else AGAIN, f"claim {spec['claim']}: {error}")
    except Exception as error:
        # Where it happened, and not what it says: a library's error may hold an address with a password, or a header.
        where = traceback.extract_tb(error.__traceback__)[-1]
        fail(entry, AGAIN, f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}")
    store.last_words("\n".join(texts))
    event("Normal", "Downloaded", "; ".join(texts))


if __name__ == "__main__":
    main()
