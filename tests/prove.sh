#!/usr/bin/env bash
# Searches far longer than the gate does, for what a few examples do not show: `make prove`. Every
# phase runs, whatever became of the ones before it, and says how many seconds it took; the command
# fails if one of them did. What this machine lacks is named, and not counted as done.
#
#   PHASES  which phases, of those below, in this order (all)
#   TIMES   how often `searches` tries the property tests with other seeds (10)
#   CASES   how many generated policies `egress` (10000) and `targets` (1000) try on an Envoy, from
#           seed SEED (1)
#   TIME    how many seconds `xds` sends generated requests (3600)
set -uo pipefail
cd "$(dirname "$0")/.."

BIN=$PWD/.venv/bin
ALL=(properties searches egress targets switch silence mtls controllers transport xds clients pipy)
left_out=()
failed=()

properties() { # ten times the examples of the gate, the same in every run
  HYPOTHESIS_PROFILE=prove "$BIN/python" -m pytest --quiet --timeout 0 \
    --numprocesses "${JOBS:-$(nproc)}" --dist worksteal -m hypothesis tests
}
searches() { make --no-print-directory search-properties TIMES="${TIMES:-10}"; }
egress() { make --no-print-directory fuzz-egress CASES="${CASES:-10000}" SEED="${SEED:-1}"; }
targets() { make --no-print-directory fuzz-targets CASES="${CASES:-1000}" SEED="${SEED:-1}"; }
switch() { # permissive mode off and on again, 20 times, under load
  tests/system.sh dataplane
  TOWPATH_TEST_TOGGLES=20 TOWPATH_REQUIRE_DATAPLANE=1 \
    "$BIN/python" -m pytest --quiet -s tests/dataplane/test_shadow.py
}
silence() { # streams and connections that say nothing for longer than Envoy's defaults allow
  tests/system.sh dataplane
  TOWPATH_REQUIRE_DATAPLANE=1 "$BIN/python" -m pytest --quiet tests/dataplane/prove_silence.py
}
mtls() { # a running mesh moves to mutual TLS and back, exchanges its roots, outlives the control plane
  tests/system.sh dataplane
  TOWPATH_REQUIRE_DATAPLANE=1 "$BIN/python" -m pytest --quiet -s tests/dataplane/prove_mtls.py
}
controllers() { # Kubernetes' own controllers make the pods that are injected
  tests/system.sh dataplane kube
  # Ahead of the tests, which have a limit of time.
  "$BIN/python" tests/support/kube/build.py && "$BIN/python" tests/support/kube/build.py controllers &&
    TOWPATH_REQUIRE_KUBE=1 TOWPATH_REQUIRE_DATAPLANE=1 \
      "$BIN/python" -m pytest --quiet tests/kube/prove_controllers.py
}
transport() { # what the gate runs on grpc.aio alone, on the transport in Rust, if there can be one here
  tests/system.sh dataplane
  tests/transport.sh || return
  TOWPATH_TRANSPORT=fast TOWPATH_REQUIRE_DATAPLANE=1 \
    "$BIN/python" -m pytest --quiet tests/dataplane tests/feature
}
xds() { make --no-print-directory fuzz-xds TIME="${TIME:-3600}"; }
clients() { make --no-print-directory clients; }
pipy() { # with the demo's pod, of which the gate starts all but Pipy
  TOWPATH_REQUIRE_PIPY=1 \
    "$BIN/python" -m pytest --quiet -m pipy tests/pipy tests/dataplane/test_demo_pods.py
}

missing() { # missing PHASE: what this machine lacks for it, in words; nothing if it lacks nothing
  local tool
  case $1 in
    egress | targets | switch | silence | mtls | controllers | transport) [ "$(id -u)" = 0 ] || echo "it needs root" ;;
    clients)
      for tool in go mvn npm cargo; do
        command -v "$tool" >/dev/null || { echo "there is no $tool"; return; }
      done
      ;;
    pipy) [ -n "${PIPY:-}" ] || echo "PIPY names no program" ;;
  esac
}

phases=(${PHASES:-${ALL[@]}})
for phase in "${phases[@]}"; do
  case " ${ALL[*]} " in
    *" $phase "*) ;;
    *) echo "PHASES: there is no $phase; there are ${ALL[*]}" >&2; exit 2 ;;
  esac
done
for phase in "${phases[@]}"; do
  reason=$(missing "$phase")
  if [ -n "$reason" ]; then
    echo "== $phase: left out, $reason"
    left_out+=("$phase")
    continue
  fi
  start=$SECONDS
  if "$phase" </dev/null; then
    echo "== $phase: $((SECONDS - start)) s"
  else
    echo "== $phase: FAILED after $((SECONDS - start)) s"
    failed+=("$phase")
  fi
done
[ ${#left_out[@]} = 0 ] || echo "== left out: ${left_out[*]}"
[ ${#failed[@]} = 0 ] || { echo "== failed: ${failed[*]}"; exit 1; }
echo "== proved: $((${#phases[@]} - ${#left_out[@]})) of ${#ALL[@]} phases in $SECONDS s"
