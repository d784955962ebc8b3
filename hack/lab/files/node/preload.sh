#!/bin/bash
# Runs in the node's root file system before it becomes an image: imports /preload/*.tar into the containerd of the node, which
# runs for that time only, and drops the layers that are unpacked now (the kubelet needs only manifests and configurations).
# stdin: digests of the layers to drop, one a line.
set -euo pipefail
export CONTAINERD_ADDRESS=/preload/containerd.sock CONTAINERD_NAMESPACE=k8s.io

printf '%s\n' 'version = 2' 'root = "/var/lib/containerd"' 'state = "/preload/state"' \
  'disabled_plugins = ["io.containerd.grpc.v1.cri"]' '[grpc]' 'address = "/preload/containerd.sock"' >/preload/containerd.toml
containerd --config /preload/containerd.toml >/preload/containerd.log 2>&1 &
daemon=$!
for attempt in $(seq 100); do
  ctr version >/dev/null 2>&1 && break
  if [ "$attempt" = 100 ]; then
    tail -n 20 /preload/containerd.log >&2
    exit 1
  fi
  sleep 0.2
done

for archive in /preload/*.tar; do
  ctr images import --snapshotter overlayfs "$archive" >/dev/null
done
mapfile -t names < <(ctr images ls -q)
for name in "${names[@]}"; do
  ctr images label "$name" io.cri-containerd.pinned=pinned >/dev/null
done
while read -r layer; do
  ctr content rm "$layer" >/dev/null
done
# Only a synchronous removal makes containerd collect the dropped layers before it is stopped.
ctr images tag "${names[0]}" localhost/collect:now >/dev/null
ctr images rm --sync localhost/collect:now >/dev/null
printf '%s\n' "${names[@]}"

kill "$daemon"
wait "$daemon" || true
rm -rf /var/lib/containerd/tmpmounts
