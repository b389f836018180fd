#!/usr/bin/env bash
# Wheels of the transport for Linux on x86-64 and arm64, into build/wheels: `make wheels`. Each runs on
# every Python from 3.11 on (abi3) and every glibc from 2.28 on. maturin and the linker, Zig's, come
# from PyPI; where the machine's Rust cannot compile for arm64 and no rustup can teach it, Debian's
# packages of a Rust that can are unpacked into the cache of the tests, and none is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

PY=${PY:-python3}
TARGETS=(${TARGETS:-x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu})
cache=${TOWPATH_TEST_CACHE:-$HOME/.cache/towpath-tests}/wheels
export PATH=$PATH:$HOME/.cargo/bin
export CARGO_TARGET_DIR=$cache/target
mkdir -p "$cache"

compiles_for() { # compiles_for TARGET: whether the compiler has its standard library
  [ -n "$(find "$("${RUSTC:-rustc}" --print target-libdir --target "$1" 2>/dev/null)" \
    -name 'libstd-*.rlib' 2>/dev/null)" ]
}

unpack_debian() { # Debian's rustc, for x86-64, with the standard libraries of both
  local apt=$cache/apt root=$cache/debian
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/packages" "$root"
  cat >"$apt/conf" <<EOF
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Architecture "amd64";
APT::Architectures { "amd64"; "arm64"; };
EOF
  if [ ! -x "$root/usr/bin/rustc" ]; then
    export APT_CONFIG=$apt/conf
    apt-get -qq update
    local std llvm
    std=$(apt-cache depends libstd-rust-web-dev | sed -n 's/.*Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p')
    llvm=$(apt-cache depends "$std" | sed -n 's/.*Depends: \(libllvm[0-9]*\)$/\1/p')
    (cd "$apt/packages" && apt-get -qq download rustc-web libstd-rust-web-dev \
      libstd-rust-web-dev:arm64 "$std" "$llvm")
    for package in "$apt/packages"/*.deb; do dpkg-deb --extract "$package" "$root"; done
    rm -r "$apt/packages"
    unset APT_CONFIG
  fi
  export RUSTC=$root/usr/bin/rustc
  export LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu
}

[ -x "$cache/venv/bin/maturin" ] || {
  "$PY" -m venv "$cache/venv"
  "$cache/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'maturin>=1.9,<2' ziglang
}
export PATH=$cache/venv/bin:$PATH

for target in "${TARGETS[@]}"; do
  compiles_for "$target" || {
    [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] ||
      { echo "the Rust of this machine cannot compile for $target: rustup target add $target" >&2; exit 1; }
    unpack_debian
    compiles_for "$target" || { echo "no Rust here can compile for $target" >&2; exit 1; }
  }
done
for target in "${TARGETS[@]}"; do
  maturin build --quiet --release --locked --zig --compatibility manylinux_2_28 --target "$target" \
    --manifest-path transport/Cargo.toml --out build/wheels
done
ls -l build/wheels
