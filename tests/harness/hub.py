"""A stand-in for the Hugging Face hub: its protocol as huggingface_hub speaks it, from folders, with faults on demand.

    ROOT/ORG/NAME/…            revision `main`, and the commit made of the files' content
    ROOT/ORG/NAME@REVISION/…   another revision

Large files (`*.safetensors`, `*.bin`) are answered by a redirect to a store on another host name, as the hub does: the store
wants no token, and its addresses expire. The same server hands the folders out at /files/ORG/NAME/… with SHA256SUMS, as a plain
web server.
Standard library only, so that it runs in any image with Python: `python3 hub.py PORT ROOT`, and the tests import it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LARGE = (".safetensors", ".bin")
STALL_SECONDS = 3600


class Faults:
    """What goes wrong, in the order of requests for file contents: each entry is used up by one request, `ok` does nothing.

    A number is that HTTP status, `429:2` with Retry-After, `stall` sends half and then nothing, `cut` closes half way, `flip`
    changes a byte, `short` sends less than asked and says so, `slow` sends 1 MB a second, `expire` lets all addresses of the
    store expire. `always` is what comes after the plan; `api 500` and
    `api stall` there make the hub's API do that.
    """

    def __init__(self, plan: list[str] | None = None, *, always: str = "") -> None:
        self.plan, self.always, self.guard, self.told = list(plan or []), always, threading.Lock(), 0

    def next(self, path: str) -> str:
        with self.guard:
            self.told += 1
            if self.plan[:1] == ["expire"] and not path.startswith("/store/"):  # waits for an address that can
                return "ok"
            return self.plan.pop(0) if self.plan else self.always or "ok"


class Hub:
    """The server, in threads of this process. `log` holds (method, path, range) of each request."""

    def __init__(
        self,
        root: Path,
        *,
        token: str = "",
        faults: Faults | None = None,
        certificate: Path | None = None,
        address: tuple[str, int] = ("127.0.0.1", 0),
        public: str = "localhost",
    ) -> None:
        self.root, self.token, self.faults = root, token, faults or Faults()
        self.log: list[tuple[str, str, str]] = []
        self.epoch = 0
        self.bytes_per_second = 0
        self.licence = True  # whether the account of the token accepted it
        self.scheme, self.public = "http", public
        self.server = ThreadingHTTPServer(address, type("Bound", (Handler,), {"hub": self}))
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, algorithm: str, size: int, changed: int) -> str:
    digest = hashlib.new("sha1" if algorithm == "git" else algorithm, b"blob %d\0" % size if algorithm == "git" else b"")
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest(path: Path, algorithm: str) -> str:
    found = path.stat()
    return _digest(path, algorithm, found.st_size, found.st_mtime_ns)


def commit(folder: Path) -> str:
    return hashlib.sha1("".join(name + digest(folder / name, "git") for name in names(folder)).encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None: ...

    wbufsize = 1 << 16

    # --- answers

    def reply(self, code: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def say(self, content: Any) -> None:
        self.reply(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def refuse(self, code: int, name: str, text: str) -> None:
        self.reply(code, text.encode(), {"X-Error-Code": name, "X-Error-Message": text})

    # --- requests

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.hub.log.append((self.command, self.path, self.headers.get("Range", "")))
        parts = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).strip("/").split("/")
        if parts[0] == "store":
            return self.store(parts)
        if parts[0] == "files":
            return self.file_server(parts)
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            if "Authorization" in self.headers:
                return self.refuse(401, "", "Invalid credentials in Authorization header")
            return self.refuse(401, "GatedRepo", "Access to this model is restricted")
        if parts[:2] == ["api", "models"] and len(parts) >= 4:
            return self.api("/".join(parts[2:4]), parts[4:])
        if len(parts) >= 5 and parts[2] == "resolve":
            return self.resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        return self.refuse(404, "NotFound", f"no answer for {self.path}")

    def folder(self, repository: str, revision: str) -> Path | None:
        """The folder of a revision; None, and the hub's answer, where there is none."""
        base = self.hub.root / repository
        every = [base, *base.parent.glob(f"{base.name}@*")] if base.parent.is_dir() else []
        if not any(names(folder) for folder in every):
            self.refuse(404, "RepoNotFound", "Repository not found")
            return None
        for folder in every:
            if names(folder) and revision in (folder.name.partition("@")[2] or "main", commit(folder)):
                return folder
        self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return None

    def api(self, repository: str, rest: list[str]) -> None:
        folder = self.folder(repository, rest[1] if len(rest) > 1 else "main")
        if folder is None:
            return None
        fault = self.hub.faults.always
        if fault == "api stall":
            time.sleep(STALL_SECONDS)
        if fault.startswith("api "):
            return self.refuse(int(fault[4:7]), "", "fault")
        if rest[:1] == ["tree"]:
            entries = []
            for name in names(folder):
                size = (folder / name).stat().st_size
                entry: dict[str, Any] = {"type": "file", "path": name, "size": size, "oid": digest(folder / name, "git")}
                if name.endswith(LARGE):
                    entry["lfs"] = {"oid": digest(folder / name, "sha256"), "size": size, "pointerSize": 134}
                entries.append(entry)
            return self.say(entries)
        siblings = [{"rfilename": name} for name in names(folder)]
        facts = {"private": False, "gated": False, "disabled": False, "tags": [], "downloads": 0, "likes": 0}
        return self.say({"id": repository, "modelId": repository, "sha": commit(folder), "siblings": siblings, **facts})

    def resolve(self, repository: str, revision: str, name: str) -> None:
        folder = self.folder(repository, revision)
        if folder is None:
            return None
        if not self.hub.licence:
            return self.refuse(403, "GatedRepo", "Access to this model is restricted and you are not in the authorized list")
        path = folder / name
        if name not in names(folder):
            return self.refuse(404, "EntryNotFound", "Entry not found")
        tag = digest(path, "sha256" if name.endswith(LARGE) else "git")
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": commit(folder), "Accept-Ranges": "bytes"}
        if name.endswith(LARGE):
            where = f"{self.hub.scheme}://{self.hub.public}:{self.hub.port}/store/{self.hub.epoch}/{folder.relative_to(self.hub.root)}/{name}"
            linked = {"X-Linked-Size": str(path.stat().st_size), "X-Linked-Etag": f'"{tag}"', "Location": where}
            return self.reply(302, b"", {**headers, **linked})
        return self.content(path, headers)

    def store(self, parts: list[str]) -> None:
        if "Authorization" in self.headers:
            return self.refuse(400, "", "Only one auth mechanism allowed")
        if int(parts[1]) < self.hub.epoch:
            return self.refuse(403, "", "Request has expired")
        return self.content(self.hub.root / "/".join(parts[2:]), {"Accept-Ranges": "bytes"})

    def file_server(self, parts: list[str]) -> None:
        folder, name = self.hub.root / "/".join(parts[1:3]), "/".join(parts[3:])
        if name == "SHA256SUMS" and names(folder):
            return self.reply(200, "".join(f"{digest(folder / one, 'sha256')}  ./{one}\n" for one in names(folder)).encode())
        if name not in names(folder):
            return self.refuse(404, "", "Not Found")
        return self.content(folder / name, {"Accept-Ranges": "bytes"})

    # --- contents and their faults

    def content(self, path: Path, headers: dict[str, str]) -> None:
        size = path.stat().st_size
        start, end, code = 0, size, 200
        if found := re.fullmatch(r"bytes=(\d+)-(\d+)?", self.headers.get("Range", "")):
            start, end, code = int(found[1]), min(size, int(found[2]) + 1 if found[2] else size), 206
            headers = {**headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"}
        if self.command == "HEAD":
            return self.reply(200, b"", {**headers, "Content-Length": str(size)})
        fault = self.hub.faults.next(self.path)
        if fault == "expire":
            self.hub.epoch += 1
            return self.refuse(403, "", "Request has expired")
        if fault[:3].isdigit():
            status, _, seconds = fault.partition(":")
            return self.reply(int(status), b"fault", {"Retry-After": seconds} if seconds else {})
        length = end - start
        self.send_response(code)
        sent = length // 2 if fault == "short" else length
        for name, value in {**headers, "Content-Length": str(sent)}.items():
            self.send_header(name, value)
        self.end_headers()
        stop = length // 2 if fault in ("short", "cut", "stall") else length
        flipped = length // 2 if fault == "flip" else -1
        pace = 1_000_000 if fault == "slow" else self.hub.bytes_per_second
        with path.open("rb") as handle:
            handle.seek(start)
            at, began = 0, time.monotonic()
            while at < stop:
                block = handle.read(min(1 << 18, stop - at))
                if at <= flipped < at + len(block):
                    changed = bytearray(block)
                    changed[flipped - at] ^= 1
                    block = bytes(changed)
                self.wfile.write(block)
                at += len(block)
                if pace:  # against the clock: a late wake-up is made up for
                    time.sleep(max(0, began + at / pace - time.monotonic()))
        self.wfile.flush()
        if fault == "stall":
            time.sleep(STALL_SECONDS)
        if fault in ("cut", "stall"):
            self.close_connection = True
            self.connection.close()
        return None


def main() -> None:
    """Serve for others: HUB_TOKEN, HUB_FAULTS, HUB_RATE (bytes a second), HUB_HOST (the name of the store behind it)."""
    env = os.environ
    faults = Faults(env.get("HUB_FAULTS", "").split())
    hub = Hub(
        Path(sys.argv[2]),
        token=env.get("HUB_TOKEN", ""),
        faults=faults,
        address=("", int(sys.argv[1])),
        public=env.get("HUB_HOST", "localhost"),
    )
    hub.bytes_per_second = int(env.get("HUB_RATE", "0"))
    hub.thread.join()


if __name__ == "__main__":
    main()
