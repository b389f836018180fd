#!/usr/bin/env bash
# Installs what is missing of the named parts: `alerts` (promtool, into the cache of the tests: the
# whole package would start a Prometheus), `browser` (Chromium, for the tests of the dashboard), `venv` (Python's own virtual environments),
# `dataplane` (the programs that the data-plane tests run), `kube` (etcd, for the tests on a
# real API server) and `rust` (a compiler for the transport). It can install as root on Debian;
# elsewhere it says what is missing, and fails only if that is indispensable, as `venv` is.
set -euo pipefail

PY=${PY:-python3}
packages=()
want() { command -v "$1" >/dev/null || packages+=("$2"); }

fetch_promtool() ( # as Debian's package prometheus has it
  command -v apt-get >/dev/null || { echo "missing: promtool" >&2; exit 0; }
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  cd "$work"
  apt-get -qq download prometheus 2>/dev/null || {
    apt-get -qq update </dev/null
    apt-get -qq download prometheus 2>/dev/null
  } || { echo "missing: promtool (Debian package prometheus)" >&2; exit 0; }
  dpkg-deb --extract prometheus_*.deb .
  mkdir -p "$cache"
  install usr/bin/promtool "$cache/promtool.new"
  mv "$cache/promtool.new" "$cache/promtool"
)

required=false
for part in "$@"; do
  case $part in
    venv)
      required=true
      want "$PY" python3
      "$PY" -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv) ;;
    dataplane)
      want ip iproute2
      want iptables-restore iptables
      want curl curl
      want nsenter util-linux
      want setpriv util-linux ;;
    alerts)
      cache=${TOWPATH_TEST_CACHE:-$HOME/.cache/towpath-tests}
      command -v promtool >/dev/null || [ -x "$cache/promtool" ] || fetch_promtool ;;
    browser)
      command -v chromium-browser >/dev/null || want chromium chromium ;;
    kube)
      want etcd etcd-server
      want etcdctl etcd-client
      want setpriv util-linux ;;
    rust) # Debian's plain packages of Rust are older than the crates allow
      PATH=$PATH:$HOME/.cargo/bin
      want cargo cargo-web
      want rustc rustc-web
      want cc gcc
      want cc libc6-dev ;;
    *)
      echo "system.sh: unknown part '$part'; allowed: alerts, browser, venv, dataplane, kube, rust" >&2
      exit 2 ;;
  esac
done
[ ${#packages[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing ${packages[*]}"
  apt-get -qq update </dev/null
  DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends "${packages[@]}" </dev/null >/dev/null
else
  echo "missing: ${packages[*]} (apt-get install ${packages[*]})" >&2
  if $required; then exit 1; fi
fi
