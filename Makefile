# `make` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PY ?= python3
BIN := .venv/bin
READY := .venv/.ready
export PY

.DEFAULT_GOAL := help
.PHONY: help image setup transport wheels run pictures demo demo-kube test unit check fmt golden compare-bytes tables chart protos docs lock bench-toggle bench-toggle-kube bench-injection bench-kube bench bench-policy bench-revocation bench-push bench-mesh bench-changes walks \
	bench-hostile bench-mtls bench-observe clients fuzz-egress fuzz-targets fuzz-xds prove soak search-properties conformance-adapter clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make the virtual environment .venv with the exact versions of constraints.txt

$(READY): pyproject.toml constraints.txt
	@tests/system.sh venv
	$(PY) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--build-constraint constraints.txt --group dev --editable '.[server]'
	@touch $@

run: setup ## serve the demo mesh and its dashboard; prints what listens where, and what to try
	@$(BIN)/towpath dashboard --server "$${TOWPATH_ADS_ADDRESS:-127.0.0.1:15128}" & \
	page=$$!; trap 'kill $$page 2>/dev/null || true' EXIT; \
	$(BIN)/towpath serve --manifests deploy/demo/mesh

pictures: setup ## take the pictures of README and docs again, of the dashboard in a real browser
	@tests/system.sh browser
	@TOWPATH_PICTURES=docs/pictures TOWPATH_REQUIRE_BROWSER=1 $(BIN)/python -m pytest -q tests/browser/test_pictures.py

demo: setup ## replay the manual's pages on egress on a real Envoy (needs root)
	@tests/system.sh dataplane
	@PYTHONPATH=tests $(BIN)/python -m demo

demo-kube: setup ## the same with kubectl on a real API server that injects the client, command by command (needs root)
	@tests/system.sh dataplane kube
	@PYTHONPATH=tests $(BIN)/python -m demo --kube

test: ## everything that CI runs: lint, types, contracts, wheel, tests
	@tests/gate.sh

# What the gate requires of the machine is none of this part's business.
unit: setup ## the quick tests: unit and golden, side by side
	@env $$(env | sed -n 's/^\(TOWPATH_REQUIRE_[A-Z]*\)=.*/-u \1/p') \
		$(BIN)/python -m pytest --quiet --numprocesses $${JOBS:-2} --dist worksteal tests/unit tests/golden

check: setup ## the quick part of test: lint, prose, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/prose.py
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

fmt: setup ## format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

golden: setup ## rewrite the golden files; review the change like code
	$(BIN)/python -m pytest --quiet --update-golden tests/golden

compare-bytes: setup ## what golden meshes without mutual TLS get, byte for byte, of two commits (BEFORE=, AFTER= or the working tree)
	@$(BIN)/python tests/golden/earlier.py $(BEFORE) $(AFTER)

tables: setup ## write what is made of tables in the code: docs/meshconfig.md, docs/problems.md, settings in docs/operate.md, descriptions in deploy/crds
	$(BIN)/python docs/generate.py
	$(BIN)/python deploy/generate.py

chart: setup ## write the Helm chart deploy/chart, made of deploy/base and deploy/crds
	$(BIN)/python deploy/generate.py

protos: setup ## generate the Python code of the protos, beside them
	$(BIN)/python protos/generate.py

docs: setup ## API pages of the client library and the protos, into build/docs
	@mkdir -p build/docs
	@$(BIN)/pdoc --output-directory build/docs/towpath_client towpath_client
	@$(BIN)/python protos/reference.py build/docs/protos.md
	@ls build/docs/towpath_client/towpath_client.html build/docs/protos.md

lock: ## resolve constraints.txt anew, with the newest versions that pyproject.toml allows
	@tests/system.sh venv
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && \
	$(PY) -m venv "$$work" && \
	"$$work/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip && \
	"$$work/bin/python" -m pip install --quiet --group dev '.[server]' && \
	{ echo '# Exact versions of all that is ever installed; `make lock` writes this file.' && \
	  "$$work/bin/python" -m pip freeze --all --exclude towpath | LC_ALL=C sort -f; } >"$$work/constraints" && \
	mv "$$work/constraints" constraints.txt && git --no-pager diff --stat constraints.txt

bench-toggle: setup ## time from a changed file to changed behaviour on a real Envoy (needs root)
	@tests/system.sh dataplane
	@PYTHONPATH=tests $(BIN)/python tests/bench/toggle.py

bench-toggle-kube: setup ## time from `kubectl patch` returning to changed behaviour on a real Envoy (needs root)
	@tests/system.sh dataplane kube
	@PYTHONPATH=tests $(BIN)/python tests/bench/toggle_kube.py

bench-injection: setup ## time for an API server to create 100 pods at once, injected and not (needs root)
	@tests/system.sh dataplane kube
	@PYTHONPATH=tests $(BIN)/python tests/bench/injection.py $(ARGS)

bench-policy: setup ## time from a new policy's file to the first allowed request (needs root)
	@tests/system.sh dataplane
	@PYTHONPATH=tests $(BIN)/python tests/bench/policy.py

bench-revocation: setup ## time from a deleted TrafficTarget's file to the first refused request on a live connection (needs root)
	@tests/system.sh dataplane
	@PYTHONPATH=tests $(BIN)/python tests/bench/revocation.py

transport: setup ## build the transport in Rust into .venv (needs cargo; as root on Debian it is installed)
	@tests/transport.sh

wheels: ## wheels of the transport for Linux on x86-64 and arm64, into build/wheels (needs cargo)
	@transport/wheels.sh

bench-kube: setup ## time, memory and CPU to follow a cluster of 1,000 services and 10,000 pods
	@tests/system.sh kube
	@PYTHONPATH=tests $(BIN)/python tests/bench/kube.py $(ARGS)

walks: setup ## calls, files and switches between files of four changes, for a reader (another checkout: TREE=FOLDER)
	@t=$${TREE:-.}; PYTHONPATH=$$t/server:$$t/protos:$$t/client_stub:$$t/tests $(BIN)/python tests/bench/walks.py $$t

bench-push: setup ## CPU, time and memory of pushes to 1,000 sidecars, beside bare servers, go-control-plane and a floor in C (needs go and cc)
	@tests/transport.sh || [ $$? = 3 ]
	@PYTHONPATH=tests $(BIN)/python -m bench.push $(ARGS)

bench: setup ## both transports beside the peers, and meshes of several sizes; rewrites the tables of docs/performance.md (needs go and cc; half an hour)
	@tests/transport.sh || [ $$? = 3 ]
	@PYTHONPATH=tests $(BIN)/python -m bench --write docs/performance.md $(ARGS)

bench-mesh: setup ## CPU, time and memory of changes in meshes of several sizes, and how they grow
	@PYTHONPATH=tests $(BIN)/python -m bench.mesh $(ARGS)

bench-changes: setup ## CPU seconds that diff and problems take on folders of up to 10,000 sidecars and 2,000 policies
	@$(BIN)/python tests/bench/changes.py $(ARGS)

bench-observe: setup ## what the reports of 1,000 sidecars cost, and what pushes lose meanwhile (minutes)
	@PYTHONPATH=tests $(BIN)/python tests/bench/observe.py $(ARGS)

bench-mtls: setup ## CPU of mutual TLS between real sidecars, beside plaintext (needs root; one part: ARGS=NAME)
	@tests/system.sh dataplane
	@PYTHONPATH=tests $(BIN)/python -m bench.mtls $(ARGS)

bench-hostile: setup ## what an adversary can cost the server (one attack: ARGS=NAME)
	@tests/transport.sh || [ $$? = 3 ]
	@PYTHONPATH=tests $(BIN)/python -m bench.hostile $(ARGS)

fuzz-egress: setup ## many generated policies: a real Envoy, explain and the plain union agree (needs root)
	@tests/system.sh dataplane
	@TOWPATH_FUZZ_CASES=$${CASES:-1000} TOWPATH_FUZZ_SEED=$${SEED:-1000} \
		$(BIN)/python -m pytest -q -s tests/dataplane/test_egress_fuzz.py

fuzz-targets: setup ## many generated TrafficTargets: a real Envoy, explain and the union of grants agree (needs root)
	@tests/system.sh dataplane
	@TOWPATH_FUZZ_CASES=$${CASES:-300} TOWPATH_FUZZ_SEED=$${SEED:-1000} \
		$(BIN)/python -m pytest -q -s tests/dataplane/test_target_cases.py tests/dataplane/test_target_cases_mtls.py

fuzz-xds: setup ## many generated requests: no client can break its stream but by the protocol, nor another's
	@TOWPATH_FUZZ_SECONDS=$${TIME:-600} TOWPATH_FUZZ_SEED=$${SEED:-} \
		$(BIN)/python -m pytest -q -s --timeout 0 tests/conformance/xds/test_fuzz.py

soak: setup ## a fleet of real Envoys: changes, restarts, new certificates; no update lost or repeated (TIME=3600 seconds, TRANSPORT=grpc or fast; needs root)
	@tests/system.sh dataplane
	@tests/transport.sh || [ $$? = 3 ]
	@TOWPATH_TEST_SECONDS=$${TIME:-3600} TOWPATH_TRANSPORT=$${TRANSPORT:-auto} TOWPATH_REQUIRE_DATAPLANE=1 \
		$(BIN)/python -m pytest -q -s --timeout 0 tests/dataplane/prove_soak.py

search-properties: setup ## try other examples of the property tests than the gate does, again and again
	@for ((run = 1; run <= $${TIMES:-10}; run++)); do \
		HYPOTHESIS_PROFILE=search $(BIN)/python -m pytest -q --timeout 0 -m hypothesis $${TESTS:-tests/unit}; \
	done

prove: setup ## all of these and the clients, for hours: what generated input can show (PHASES=, see tests/prove.sh)
	@tests/prove.sh

clients: setup ## real gRPC clients in Go, Java, Node.js and Rust (needs go, mvn, npm and cargo)
	@$(BIN)/python tests/support/clients/build.py >/dev/null
	@TOWPATH_REQUIRE_CLIENTS=1 $(BIN)/python -m pytest -q -s tests/clients

conformance-adapter: setup ## serve what the public xDS test harness calls: xDS on 18000, its adapter on 17000
	@PYTHONPATH=tests $(BIN)/python -m support.xds

image: ## build the container image towpath:VERSION (docker, podman or buildah)
	@engine=$$(command -v docker || command -v podman || command -v buildah) || \
		{ echo "no docker, podman or buildah on this machine" >&2; exit 1; }; \
	version=$$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' server/towpath/__init__.py); \
	"$$engine" build --file deploy/Dockerfile --tag "towpath:$$version" .

clean: ## remove the virtual environment and all caches
	rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
