# One line a recipe: the logic is Python in hack/. `make` alone lists the targets.
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

.PHONY: help
help: ## This list
	@grep -hE '^[a-z%-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

.PHONY: demo status chat logs destroy
demo: ## A local cluster, KServe, a tiny model on vLLM, an answer (IMAGES=registry|source|auto)
	@hack/run demo
status: ## What runs in the demo cluster
	@hack/run status
chat: ## Ask the demo's model
	@hack/run chat
logs: ## Last lines of the controller and of the engine
	@hack/run logs
destroy: ## Remove all that make demo made, but for the cache
	@hack/run destroy

.PHONY: platform crds preflight deploy diff plan bundle cache-prune
platform: ## What a real cluster needs first, upstream's charts and our controller (KEDA=false, …: the cluster has it already)
	@hack/run platform CERT_MANAGER=$(CERT_MANAGER) GATEWAY=$(GATEWAY) LWS=$(LWS) KEDA=$(KEDA) PROMETHEUS=$(PROMETHEUS)
crds: ## KServe's resource definitions (CA=file: PEM of the webhook's CA; without it cert-manager injects it)
	@hack/run crds $(CA)
preflight: ## What only the cluster knows, before an install (FILE=values/….yaml NAME= NAMESPACE=)
	@hack/run preflight $(FILE) $(NAME) $(NAMESPACE)
deploy-%: ## The same for values/deploy-….yaml: deploy-70b, deploy-disaggregated, … (NAME=llm-…, NAMESPACE=llm)
	@hack/run deploy values/$@.yaml $(or $(NAME),llm-$*) $(or $(NAMESPACE),llm)
plan-%: ## What values/deploy-….yaml derives, without a cluster
	@hack/run plan values/deploy-$*.yaml $(or $(NAME),llm-$*) $(or $(NAMESPACE),llm)
plan: ## The same for one's own (FILE=values/….yaml NAME= NAMESPACE=)
	@hack/run plan $(FILE) $(NAME) $(NAMESPACE)
# A change alone is no failure of make: status 1 of hack/run diff.
diff-%: ## What an upgrade to values/deploy-….yaml would change in the cluster, immutable fields named
	@hack/run diff values/deploy-$*.yaml $(or $(NAME),llm-$*) $(or $(NAMESPACE),llm) || [ $$? -eq 1 ]
diff: ## The same for one's own (FILE=values/….yaml NAME= NAMESPACE=)
	@hack/run diff $(FILE) $(NAME) $(NAMESPACE) || [ $$? -eq 1 ]
bundle: ## What a cluster without a network needs, into bundle/ (FILE=values/….yaml NAME= NAMESPACE=)
	@hack/run bundle $(FILE) $(NAME) $(NAMESPACE)
cache-prune: ## What no release uses on a claim of a model cache (CLAIM= NAMESPACE=); YES=1 removes it
	@hack/run prune $(CLAIM) $(NAMESPACE) $(YES)
deploy: ## Preflight, then install or upgrade with rollback on failure (FILE=values/….yaml NAME= NAMESPACE=)
	@hack/run deploy $(FILE) $(NAME) $(NAMESPACE)

.PHONY: deps generate golden verify lint test smoke smoke-full scale
deps: ## Pack the charts' dependencies (needed before helm install from a clone)
	@hack/run deps
generate: ## Write the generated files: schemas, defaults
	@hack/run generate
golden: ## Rewrite the golden files; review the diff
	@hack/run golden
verify: ## Generated files are current
	@hack/run stages verify
lint: ## ruff, mypy, yamllint, shellcheck, helm lint --strict, ct lint
	@hack/run stages lint
test: ## Everything but smoke
	@hack/run stages verify lint render consumer controlplane
smoke: ## Real pods in the kind cluster, one case a property
	@hack/run stages smoke
smoke-full: ## The long matrix: Helm 3 and 4, both kinds of apply, every fault
	@hack/run stages smoke-full
scale: ## N releases at once in a control plane with fake nodes: seconds and memory of each service (N=30)
	@hack/run scale $(N)

CERT_MANAGER ?= true
GATEWAY ?= true
LWS ?= true
KEDA ?= true
PROMETHEUS ?= true
CA ?=
CLAIM ?=
YES ?=
FILE ?=
NAME ?=
NAMESPACE ?=
N ?= 30
