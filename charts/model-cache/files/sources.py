"""Where weights come from: a hub of Hugging Face's protocol, S3, Google Cloud Storage, or a folder on a web server.

Listing, names and credentials are left to each one's own library (huggingface_hub, boto3, google-cloud-storage), ranges are asked
for one by one: those libraries download whole files, some of them into memory.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from transfer import PIECE, Failed, File, Limits, Listing, Refused, Source

CONNECT_SECONDS = 10
CREDENTIALS = "give the Job credentials that may list and read it (global.llm.cache.env, or model-cache.serviceAccount)"
REFUSALS = 2  # of new addresses of one file in a row


def source(uri: str, limits: Limits) -> Source:
    """The source of a uri; Refused for one that nobody here understands."""
    scheme = uri.partition("://")[0]
    kinds: dict[str, Callable[[str, Limits], Source]] = {"hf": Hub, "s3": S3, "gs": Gcs, "https": Web, "http": Web}
    if scheme not in kinds:
        raise Refused(f"{uri}: cannot be downloaded; known are {', '.join(f'{name}://' for name in kinds)}")
    return kinds[scheme](uri, limits)


def _session() -> requests.Session:
    session = requests.Session()
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=64, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Limited(requests.Session):
    """A session whose requests end."""

    def __init__(self, times: tuple[float, float]) -> None:
        super().__init__()
        self.times = times

    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        if options.get("timeout") is None:
            options["timeout"] = self.times
        return super().request(*arguments, **options)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Errors of a connection in one line, and told apart: those that go away and those that do not."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise Refused(f"{what}: its certificate is not trusted ({_reason(error)}); set model-cache.caBundle") from error
        raise Failed(f"{what}: {_reason(error)}") from error
    except UNUSABLE as error:
        raise Refused(f"{what}: {type(error).__name__}: an address or a secret cannot be used as it is; {SETTINGS}") from error
    except requests.exceptions.RequestException as error:
        raise Failed(f"{what}: {_reason(error)}") from error


SETTINGS = "look at HF_ENDPOINT, AWS_ENDPOINT_URL, the proxies and the tokens in global.llm.cache.env and engine.env"
UNUSABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
    requests.exceptions.InvalidHeader,
)
REASONS = (
    r"certificate verify failed: [^(\"']+",
    r"Failed to resolve '[^']+'",
    r"Tunnel connection failed: \d+ [A-Za-z ]*",
    r"\[Errno [^\]]*\] [^'\")]+",
    r"Max retries exceeded|[Rr]ead timed out|[Cc]onnect(?:ion)? timed out|Connection (?:aborted|broken|reset)|IncompleteRead",
)


def _reason(error: BaseException) -> str:
    """What a chain of errors comes down to, in a line."""
    text = str(error)
    for pattern in REASONS:
        if found := re.search(pattern, text):
            return found[0].strip()
    return type(error).__name__  # its text may hold an address with a password, or a header


def retry_after(answer: requests.Response) -> float:
    """Seconds that a server asks to wait, by number or date; 0 when it does not say."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    with contextlib.suppress(TypeError, ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    return 0


def passes(status: int) -> bool:
    """Whether an error status may be another one later."""
    return status in (408, 425, 429) or status >= 500


class Http:
    """Ranges of one url after another over kept connections."""

    def __init__(self, limits: Limits) -> None:
        self.session = _session()
        self.times = (CONNECT_SECONDS, limits.read_seconds)

    def get(self, url: str, what: str, start: int, end: int, headers: dict[str, str]) -> Iterator[bytes]:
        wanted = {**headers, "Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        with _told(what), self.session.get(url, headers=wanted, stream=True, timeout=self.times) as answer:
            self.judge(answer, what)
            if answer.status_code == 200 and start:
                raise Refused(f"{what}: the server ignores ranges, so that a stopped download could not go on")
            yield from answer.iter_content(PIECE)

    def judge(self, answer: requests.Response, what: str) -> None:
        """Raise Refused or Failed unless the answer is good."""
        code = answer.status_code
        if code in (200, 206):
            return
        if passes(code):
            raise Failed(f"{what}: HTTP {code} {answer.reason}", retry_after(answer))
        raise Refused(f"{what}: HTTP {code} {answer.reason}")


class Hub(Http):
    """hf://org/model[:revision] on the hub of HF_ENDPOINT."""

    def __init__(self, uri: str, limits: Limits) -> None:
        import huggingface_hub
        import huggingface_hub.file_download

        super().__init__(limits)
        self.library = huggingface_hub
        # Its listings have no time limit of their own.
        huggingface_hub.configure_http_backend(lambda: _Limited(self.times))
        found = re.fullmatch(r"hf://([^/:@]+/[^/:@]+)(?:[:@](.+))?", uri)
        if not found:
            raise Refused(f"{uri}: is not of the form hf://org/model[:revision]")
        self.repository, self.revision = found[1], found[2] or "main"
        self.locations: dict[str, str] = {}
        self.refusals: dict[str, int] = {}
        self.guard = threading.Lock()

    def listing(self) -> Listing:
        api = self.library.HfApi()
        with self._explained():
            commit = api.model_info(self.repository, revision=self.revision, timeout=self.times[1]).sha or self.revision
            entries = [e for e in api.list_repo_tree(self.repository, revision=commit, recursive=True) if hasattr(e, "blob_id")]
        self.revision = commit
        files = []
        for entry in entries:
            checksums = {"sha256": entry.lfs.sha256} if entry.lfs else {"git": entry.blob_id}
            files.append(File(entry.path, entry.lfs.size if entry.lfs else entry.size, checksums))
        return Listing(commit, files)

    def read(self, file: File, start: int, end: int) -> Iterator[bytes]:
        url = self._locate(file)
        try:
            # A signed address of a store behind the hub carries its permission in itself; the token is for the hub alone.
            yield from self.get(url, file.name, start, end, self._headers() if self._own(url) else {})
        except Refused as error:
            with self.guard:
                if self.locations.get(file.name) == url:  # else another connection has renewed it
                    self.locations.pop(file.name)
                    self.refusals[file.name] = self.refusals.get(file.name, 0) + 1
                refusals = self.refusals.get(file.name, 0)
            if self._own(url) or refusals > REFUSALS:
                raise
            raise Failed(f"{error}, its address expired") from error
        self.refusals.pop(file.name, None)

    def _locate(self, file: File) -> str:
        with self.guard:
            found = self.locations.get(file.name)
        if not found:
            with self._explained():
                url = self.library.hf_hub_url(self.repository, file.name, revision=self.revision)
                found = self.library.get_hf_file_metadata(url, timeout=self.times[1]).location
            with self.guard:
                self.locations[file.name] = found
        return found

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = self.library.utils.build_hf_headers()
        return headers

    def _own(self, url: str) -> bool:
        ours, theirs = urlsplit(url), urlsplit(self.library.constants.ENDPOINT)
        return bool((ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        errors = self.library.errors
        name = f"hf://{self.repository}"
        given = bool(os.environ.get("HF_TOKEN"))
        access = "the token of HF_TOKEN gives no access to it" if given else "no token is set"
        secret = "set global.llm.cache.env.HF_TOKEN.valueFrom.secretKeyRef to a Secret with a token"
        with _told(name):
            try:
                yield
            except errors.GatedRepoError as error:
                raise Refused(
                    f"{name}: is gated, and {access}; accept its licence on the hub and {secret} of that account"
                ) from error
            except errors.RevisionNotFoundError as error:
                raise Refused(
                    f"{name}: has no revision {self.revision}; set one that exists in the uri, hf://org/model:revision"
                ) from error
            except errors.HFValidationError as error:
                raise Refused(f"{name}: is no name that a hub knows; mend the uri") from error
            except errors.OfflineModeIsEnabled as error:
                raise Refused(f"{name}: HF_HUB_OFFLINE is set; unset it, or use pvc://") from error
            except errors.HfHubHTTPError as error:
                answer = getattr(error, "response", None)
                code = getattr(answer, "status_code", 0)
                if code == 401 and given:
                    raise Refused(f"{name}: the hub refuses the token of HF_TOKEN (HTTP 401); {secret} that is valid") from error
                if isinstance(error, errors.RepositoryNotFoundError):
                    raise Refused(
                        f"{name}: is not there, or is private, and {access}; mend the name, or {secret} that may read it"
                    ) from error
                if code and not passes(code):
                    raise Refused(f"{name}: HTTP {code}, and {access}; {secret} that may read it") from error
                raise Failed(f"{name}: HTTP {code}", retry_after(answer) if answer is not None else 0) from error


class Web(Http):
    """https://host/folder with a file SHA256SUMS (of coreutils' sha256sum) that names what is in it."""

    def __init__(self, uri: str, limits: Limits) -> None:
        super().__init__(limits)
        self.base = uri.rstrip("/")
        if urlsplit(uri).username is not None:
            raise Refused("https://: the uri holds a password, which would be written into the manifest; set one without")

    def listing(self) -> Listing:
        what = f"{self.base}/SHA256SUMS"
        with _told(what):
            answer = self.session.get(what, timeout=self.times)
        if answer.status_code == 404:
            raise Refused(f"{what}: is missing; write it with `sha256sum $(find * -type f)` in the folder")
        self.judge(answer, what)
        lines = re.findall(r"^([0-9a-fA-F]{64}) [ *](?:\./)?(.+?)\r?$", answer.text, flags=re.M)
        found = [(checksum, name) for checksum, name in lines if name != "SHA256SUMS"]
        if not found:
            raise Refused(f"{what}: has no line of a checksum and a name")
        return Listing("", [self._file(name, checksum.lower()) for checksum, name in found])

    def _file(self, name: str, checksum: str) -> File:
        with _told(name):
            answer = self.session.head(
                self._url(name),
                timeout=self.times,
                allow_redirects=True,
                headers={"Accept-Encoding": "identity"},
            )
        self.judge(answer, name)
        if "Content-Length" not in answer.headers:
            raise Refused(f"{name}: the server does not say its size")
        return File(name, int(answer.headers["Content-Length"]), {"sha256": checksum})

    def _url(self, name: str) -> str:
        return f"{self.base}/{quote(name)}"

    def read(self, file: File, start: int, end: int) -> Iterator[bytes]:
        return self.get(self._url(file.name), file.name, start, end, {})


class S3:
    """s3://bucket/prefix, of AWS or of what AWS_ENDPOINT_URL names."""

    def __init__(self, uri: str, limits: Limits) -> None:
        import boto3
        from botocore.config import Config

        self.bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        self.prefix = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
        self.uri = uri
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=limits.read_seconds,
            max_pool_connections=64,
            retries={"max_attempts": 1},
        )
        with self._explained(uri):
            self.client: Any = boto3.client("s3", config=config)

    def listing(self) -> Listing:
        files = []
        with self._explained(self.uri):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix):
                for found in page.get("Contents", []):
                    name = found["Key"].removeprefix(self.prefix)
                    if name and not name.endswith("/"):
                        files.append(self._file(name, found))
        if not files:
            raise Refused(f"{self.uri}: holds nothing under that name")
        return Listing("", files)

    def _file(self, name: str, found: dict[str, Any]) -> File:
        facts = self.client.head_object(Bucket=self.bucket, Key=found["Key"], ChecksumMode="ENABLED")
        tag = facts["ETag"].strip('"')
        checksums = {}
        if (
            "ChecksumSHA256" in facts
            and facts.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
            and "-" not in facts["ChecksumSHA256"]
        ):
            checksums["sha256"] = base64.b64decode(facts["ChecksumSHA256"]).hex()
        # The tag is the md5 of what was put in one piece and is not encrypted by a key of its own.
        elif re.fullmatch(r"[0-9a-f]{32}", tag) and facts.get("ServerSideEncryption", "AES256") == "AES256":
            checksums["md5"] = tag
        return File(name, found["Size"], checksums, tag)

    def read(self, file: File, start: int, end: int) -> Iterator[bytes]:
        with self._explained(file.name):
            wanted = {"Range": f"bytes={start}-{end - 1}", "IfMatch": f'"{file.tag}"'}
            body = self.client.get_object(Bucket=self.bucket, Key=self.prefix + file.name, **wanted)["Body"]
            with contextlib.closing(body):
                while piece := body.read(PIECE):
                    yield piece

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        from botocore import exceptions

        try:
            yield
        except exceptions.ClientError as error:
            code, status = error.response["Error"].get("Code", ""), error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
            if passes(status) or code in ("SlowDown", "RequestTimeout", "Throttling", "RequestTimeTooSkewed"):
                raise Failed(f"{what}: {code} (HTTP {status})") from error
            if status == 412:
                raise Refused(f"{what}: changed in the bucket while it was downloaded; begin again") from error
            help = {"NoSuchBucket": "mend the bucket's name", "404": "mend the name", "NoSuchKey": "it was removed"}
            raise Refused(f"{what}: {code} (HTTP {status}); {help.get(code, CREDENTIALS)}") from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise Refused(
                f"{what}: no credentials; set global.llm.cache.env.AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY by Secret, or a "
                "service account"
            ) from error
        except (exceptions.ParamValidationError, ValueError) as error:
            raise Refused(f"{what}: {type(error).__name__}: the uri or a setting cannot be used; {SETTINGS}") from error
        except (exceptions.BotoCoreError, OSError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Refused(f"{what}: its certificate is not trusted; set model-cache.caBundle") from error
            raise Failed(f"{what}: {_reason(error)}") from error
        except Exception as error:  # urllib3's own, while a body is read
            if type(error).__module__.startswith("urllib3"):
                raise Failed(f"{what}: {_reason(error)}") from error
            raise


class Gcs:
    """gs://bucket/prefix, of Google or of what STORAGE_EMULATOR_HOST names."""

    def __init__(self, uri: str, limits: Limits) -> None:
        from google.auth import exceptions as auth
        from google.cloud import storage

        self.uri, self.times = uri, (CONNECT_SECONDS, limits.read_seconds)
        self.name, _, prefix = uri.removeprefix("gs://").partition("/")
        self.prefix = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
        with self._explained(uri):
            try:
                self.client = storage.Client()
            except (auth.DefaultCredentialsError, OSError):
                if "GOOGLE_APPLICATION_CREDENTIALS" in os.environ:
                    raise
                self.client = storage.Client.create_anonymous_client()  # a public bucket needs nobody
        self.blobs: dict[str, Any] = {}

    def listing(self) -> Listing:
        files = []
        with self._explained(self.uri):
            for blob in self.client.list_blobs(self.name, prefix=self.prefix, timeout=self.times[1], retry=None):
                name = blob.name.removeprefix(self.prefix)
                if name and not name.endswith("/"):
                    checksums = {"md5": base64.b64decode(blob.md5_hash).hex()} if blob.md5_hash else {}
                    self.blobs[name] = blob
                    files.append(File(name, blob.size, checksums, str(blob.generation)))
        if not files:
            raise Refused(f"{self.uri}: holds nothing under that name")
        return Listing("", files)

    def read(self, file: File, start: int, end: int) -> Iterator[bytes]:
        at = start
        while at < end:  # the library has no stream of a range: a few pieces at once
            with self._explained(file.name):
                piece: bytes = self.blobs[file.name].download_as_bytes(
                    start=at,
                    end=min(end, at + 8 * PIECE) - 1,
                    raw_download=True,
                    checksum=None,
                    timeout=self.times,
                    retry=None,
                )
            if not piece:
                return
            at += len(piece)
            yield piece

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        from google.api_core import exceptions
        from google.auth import exceptions as auth
        from urllib3.exceptions import HTTPError

        try:
            with _told(what):
                yield
        except exceptions.NotFound as error:
            raise Refused(
                f"{what}: is not there, or was replaced while it was downloaded; mend the name, or begin again"
            ) from error
        except exceptions.GoogleAPICallError as error:
            if passes(int(error.code or 500)):
                raise Failed(f"{what}: HTTP {error.code}") from error
            raise Refused(f"{what}: HTTP {error.code}; {CREDENTIALS}") from error
        except (auth.RefreshError, auth.DefaultCredentialsError) as error:
            if getattr(error, "retryable", False):
                raise Failed(f"{what}: {type(error).__name__}") from error
            raise Refused(f"{what}: {type(error).__name__}; {CREDENTIALS}") from error
        except (exceptions.GoogleAPIError, auth.GoogleAuthError, HTTPError, OSError) as error:
            raise Failed(f"{what}: {_reason(error)}") from error
