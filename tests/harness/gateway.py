"""Envoy as a gateway that implements inference pools sets it up: each request goes to the endpoint picker, then where that says.

Modes, limits and how the endpoint is read are those of Envoy AI Gateway 1.0 (internal/extensionserver/inferencepool.go), of which
versions.yaml names the chart; what is left out is what it does besides.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hack import cached, paths
from hack.lab import lock, tree

LOCK = paths.ROOT / "hack" / "lab" / "files" / "envoy.lock"
ENDPOINT = "x-gateway-destination-endpoint"


def program() -> Path:
    """The path of Envoy."""

    def install(target: Path) -> None:
        tree.make_folder(target)
        lock.install(LOCK, target, target.with_name("uv-cache"))

    return cached.artifact("gateway", "envoy", cached.key(LOCK), install) / "envoy" / "_bin" / "envoy"


def arguments(port: int, picker: int, *, message_timeout: str = "300s", stream_idle_timeout: str = "0s") -> list[str]:
    """Of an Envoy that listens on `port` and asks the endpoint picker on port `picker`, both of loopback."""
    bootstrap = _bootstrap(port, picker, message_timeout, stream_idle_timeout)
    return ["--config-yaml", json.dumps(bootstrap), "--disable-hot-restart", "--concurrency", "1"]


def _typed(kind: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **fields}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _bootstrap(port: int, picker: int, message_timeout: str, stream_idle_timeout: str) -> dict[str, Any]:
    streamed = {f"{side}_body_mode": "FULL_DUPLEX_STREAMED" for side in ("request", "response")}
    sent = {f"{side}_{part}_mode": "SEND" for side in ("request", "response") for part in ("header", "trailer")}
    asked = _typed(
        "filters.http.ext_proc.v3.ExternalProcessor",
        grpc_service={"envoy_grpc": {"cluster_name": "picker"}},
        processing_mode={**sent, **streamed},
        message_timeout=message_timeout,
        failure_mode_allow=False,
    )
    route = {"match": {"prefix": "/"}, "route": {"cluster": "engines", "timeout": "0s"}}  # KServe's routes have no limit
    manager = _typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="http",
        stream_idle_timeout=stream_idle_timeout,
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[
            {"name": "picker", "typed_config": asked},
            {"name": "router", "typed_config": _typed("filters.http.router.v3.Router")},
        ],
    )
    http2 = _typed("upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http2_protocol_options": {}})
    endpoint = {"lb_endpoints": [{"endpoint": {"address": _address(picker)}}]}
    clusters = [
        {
            "name": "picker",
            "type": "STATIC",
            "typed_extension_protocol_options": {http2["@type"].removeprefix("type.googleapis.com/"): http2},
            # Its certificate is one that it made itself.
            "transport_socket": {"name": "tls", "typed_config": _typed("transport_sockets.tls.v3.UpstreamTlsContext")},
            "load_assignment": {"cluster_name": "picker", "endpoints": [endpoint]},
        },
        {
            "name": "engines",
            "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED",
            "original_dst_lb_config": {"use_http_header": True, "http_header_name": ENDPOINT},
        },
    ]
    listener = {
        "name": "http",
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}
