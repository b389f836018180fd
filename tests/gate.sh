#!/usr/bin/env bash
# The one gate, run by `make test` and so by .ci/run: it stops at the first phase that fails.
# The tests come last, so that pytest's closing line is the last line.
set -euo pipefail
cd "$(dirname "$0")/.."

export PY=${PY:-python3}
BIN=$PWD/.venv/bin

phase() { # phase NAME COMMAND...: run it, then say how long it took
  local name=$1 start=$SECONDS
  shift
  running=$name
  "$@"
  echo "== $name: $((SECONDS - start)) s"
}
trap 'status=$?; [ $status = 0 ] || echo "== ${running:-gate}: FAILED" >&2' EXIT

system() {
  tests/system.sh venv
  tests/system.sh dataplane
  tests/system.sh kube
  tests/system.sh alerts
  tests/system.sh browser
}

# Where no Rust is to be had, the tests on that transport are skipped with the reason; elsewhere a
# skipped one is a failure.
transport() {
  local status=0
  tests/transport.sh || status=$?
  case $status in
    0) export TOWPATH_REQUIRE_FAST=1 ;;
    3) ;;
    *) return "$status" ;;
  esac
}

types() {
  "$BIN/mypy"
  [ ! -d transport ] || (cd transport/python && "$BIN/mypy" --config-file ../../pyproject.toml \
    --cache-dir ../../.mypy_cache \
    --no-namespace-packages --no-explicit-package-bases -p towpath_transport)
}

lint() {
  "$BIN/ruff" check .
  "$BIN/ruff" format --check .
  "$BIN/python" tests/prose.py
}

# Builds the wheel and uses it as a stranger would: in a new environment, away from the source. It
# stays until the tests have run the control plane from it.
wheel() (
  root=$PWD
  work=$root/build/wheel
  rm -rf "$work"
  mkdir -p "$work"
  "$BIN/python" -m build --wheel --no-isolation --outdir "$work" . >"$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
  "$PY" -m venv "$work/venv"
  install=("$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check
           --constraint "$PWD/constraints.txt")
  built=$(echo "$work"/towpath-*.whl)
  import=("$work/venv/bin/python" -I "$PWD/tests/support/import_all.py")

  "${install[@]}" "$built"
  cd "$work"
  "${import[@]}" --without aiohttp,asyncinotify,click,cryptography,grpc_health,grpc_reflection,jinja2,msgspec,prometheus_client,pythonjsonlogger,re2,yaml \
    towpath_api towpath_client
  "$work/venv/bin/towpath-agent" --help >/dev/null
  for command in towpath osm; do
    said=$("$work/venv/bin/$command" version 2>&1) && return 1
    [[ $said == "$command: click is not installed: "*"towpath[server]"* ]] || { echo "$said"; return 1; }
  done
  "${install[@]}" "${built}[server,tracing]"
  "$work/venv/bin/python" -m pip check
  "${import[@]}" --optional towpath_transport towpath towpath_api towpath_client
  "$work/venv/bin/towpath" --help >/dev/null
  "$work/venv/bin/towpath" version --client-only
  "$work/venv/bin/osm" install --dry-run --set osm.enableEgress=true >"$work/manifests"
  grep -q '"enableEgress": true' "$work/manifests"
  [ "$(grep -c '^kind: CustomResourceDefinition' "$work/manifests")" = \
    "$(grep -lr '^kind: CustomResourceDefinition' "$root/deploy/crds" | wc -l)" ]
)

# Builds the API server that tests/kube runs against, and Helm; where that cannot be, those tests are
# skipped with the reason, and elsewhere a skipped one is a failure.
api_server() {
  local status=0
  "$BIN/python" tests/support/kube/build.py && "$BIN/python" tests/support/kube/build.py helm ||
    status=$?
  case $status in
    0) export TOWPATH_REQUIRE_KUBE=1 ;;
    3) echo "no API server here: its tests are skipped" ;;
    *) return "$status" ;;
  esac
}

phase system system
phase set-up "${MAKE:-make}" --no-print-directory setup
phase transport transport
phase lint lint
phase types types
phase contracts "$BIN/lint-imports" --no-logo
phase wheel wheel
phase api-server api_server

# Root can run the data-plane tests, and install a browser, so there a skipped one is a failure.
if [ "$(id -u)" = 0 ]; then
  export TOWPATH_REQUIRE_DATAPLANE=1
  export TOWPATH_REQUIRE_BROWSER=1
fi
export TOWPATH_TEST_PYTHON=$PWD/build/wheel/venv/bin/python
echo "== tests"
# Many tests wait for other processes, so one worker more than cores. A file's tests stay together,
# as they share what they start; the longest files come first (tests/support/longest_first.py), not
# those with most tests.
exec "$BIN/python" -m pytest --numprocesses "${JOBS:-$(($(nproc) + 1))}" --dist loadfile \
  --no-loadscope-reorder --durations=5 --durations-min=2 </dev/null
