// CoreDNS with the plugins of kubeadm's default Corefile and a few more: nothing that pulls in a cloud SDK.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/rewrite"
	_ "github.com/coredns/coredns/plugin/template"
	_ "github.com/coredns/coredns/plugin/whoami"
)

// The order is CoreDNS's own (plugin.cfg): it decides which plugin sees a query first.
func init() {
	dnsserver.Directives = []string{
		"root", "metadata", "geoip", "cancel", "tls", "bind", "debug",
		"reload", "ready", "health", "prometheus", "errors", "log", "loop", "cache", "rewrite",
		"loadbalance", "hosts", "template", "kubernetes", "forward", "whoami",
	}
}

func main() { coremain.Run() }
