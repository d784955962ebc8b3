#!/bin/bash
# Pod network of a node built from source, instead of kindnetd (whose source is not published as a Go module): writes the CNI
# configuration for this node's pod range, routes the ranges of other nodes, masquerades what leaves the pod network.
# The ranges are kind's defaults.
set -euo pipefail

pods=${POD_SUBNET:-10.244.0.0/16}
services=${SERVICE_SUBNET:-10.96.0.0/16}
conflist=/etc/cni/net.d/10-node.conflist
me=$(hostname)

# rule TABLE CHAIN SPEC…: add an iptables rule unless it is there.
rule() {
  local table=$1 chain=$2
  shift 2
  iptables -w -t "$table" -C "$chain" "$@" 2>/dev/null || iptables -w -t "$table" -A "$chain" "$@"
}

nodes() {
  kubectl --kubeconfig=/etc/kubernetes/kubelet.conf get nodes -o json 2>/dev/null |
    jq -r '.items[] | [.metadata.name, .spec.podCIDR, (.status.addresses[]? | select(.type == "InternalIP") | .address)] | @tsv'
}

# A service address that kube-proxy has no rule for (yet) must not leave the node: the network outside may answer TLS on any
# address, and a client then dies of a foreign certificate where it would have tried again.
rule filter OUTPUT -d "$services" -j REJECT
rule filter FORWARD -d "$services" -j REJECT
# Nor may a pod's address that no pod has: after a restart of the node kube-proxy leads to those of before for a moment. Pods and
# the ranges of other nodes have routes that are more specific.
ip route replace unreachable "$pods"

while sleep 1; do
  while read -r node range address; do
    [[ $range == */* && -n $address ]] || continue
    if [[ $node != "$me" ]]; then
      ip route replace "$range" via "$address"
    elif [[ ! -f $conflist ]]; then
      rule nat POSTROUTING -s "$range" ! -d "$pods" -m comment --comment node-cni -j MASQUERADE
      # ptp, as kindnetd does it, and not a bridge: no dependence on br_netfilter.
      jq -n --arg range "$range" '{
        cniVersion: "0.4.0", name: "node", plugins: [
          {type: "ptp", ipMasq: false, mtu: 1500, ipam: {
            type: "host-local", dataDir: "/run/cni-ipam-state", ranges: [[{subnet: $range}]], routes: [{dst: "0.0.0.0/0"}]}},
          {type: "portmap", capabilities: {portMappings: true}}
        ]}' >"$conflist.tmp"
      mv "$conflist.tmp" "$conflist"
    fi
  done < <(nodes || true)
done
