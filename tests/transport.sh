#!/usr/bin/env bash
# Builds the transport in Rust from source, tests it, and installs it into .venv; what is installed
# already is left. Exit code 3: it is not here, or this machine has no Rust that is new enough.
set -euo pipefail
cd "$(dirname "$0")/.."

BIN=$PWD/.venv/bin
BUILT=$PWD/.venv/.transport
export PATH=$BIN:$PATH:$HOME/.cargo/bin # of the first, maturin
# Kept for the next clone: all but the last of its crates stay as they are for months.
export CARGO_TARGET_DIR=${TOWPATH_TEST_CACHE:-$HOME/.cache/towpath-tests}/transport

absent() {
  echo "the transport in Rust is not built: $1; grpc.aio serves"
  exit 3
}

[ -d transport ] || absent "there is no folder transport"
tests/system.sh rust || absent "no Rust can be installed"
for tool in cargo rustc cc; do
  command -v "$tool" >/dev/null || absent "there is no $tool"
done
least=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' transport/Cargo.toml)
version=$(rustc --version | cut -d ' ' -f 2)
[ "$(printf '%s\n' "$least" "$version" | sort -V | head -n 1)" = "$least" ] ||
  absent "rustc is $version, and it needs $least"

# Two clones share what is built, and one of them would take away what the other is about to install.
mkdir -p "$CARGO_TARGET_DIR"
exec 9>"$CARGO_TARGET_DIR/.lock"
flock 9

sum=$({ find transport \( -name target -o -name '.*_cache' -o -name __pycache__ \) -prune -o \
  -type f -not -name '*.so' -print0 |
  sort -z | xargs -0 sha256sum; rustc --version; } | sha256sum)
if [ "$(cat "$BUILT" 2>/dev/null)" = "$sum" ]; then exit 0; fi
cargo fetch --quiet --locked --manifest-path transport/Cargo.toml ||
  absent "its crates are not here, and cannot be fetched"
if cargo fmt --version >/dev/null 2>&1; then cargo fmt --check --manifest-path transport/Cargo.toml; fi
PYO3_PYTHON=$BIN/python cargo test --quiet --release --locked --manifest-path transport/Cargo.toml
"$BIN/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall \
  --no-build-isolation ./transport
"$BIN/python" -c 'import towpath_transport'
echo "$sum" >"$BUILT"
