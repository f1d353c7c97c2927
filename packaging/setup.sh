#!/usr/bin/env bash
# Installs what Plenum needs on Debian 12 and is missing. Idempotent: with nothing missing it changes nothing and asks nobody.
# usage: packaging/setup.sh build|test|bench|arm      (test includes build, bench includes test; arm: build and an emulator of aarch64)
set -euo pipefail
cd "$(dirname "$0")/.."

level=${1:-build}
packages=(build-essential pkg-config cmake nasm libvpx-dev libdav1d-dev ca-certificates)
# Names are set in type from these.
packages+=(fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji)
test_packages=(chromium iproute2 openssl procps util-linux python3-venv python3-gi gir1.2-gst-plugins-bad-1.0
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-nice shellcheck)
case $level in
  build) ;;
  test) packages+=("${test_packages[@]}") ;;
  bench) packages+=("${test_packages[@]}" janus libyuv0 libyuv-dev ffmpeg golang-go golang-github-pion-webrtc.v3-dev) ;;
  arm) packages+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static) ;;
  *) echo "usage: $0 build|test|bench|arm" >&2; exit 2 ;;
esac

# Pexip's client library comes with npm; whoever has a node of another source keeps it.
if [ "$level" != build ] && ! { command -v node && command -v npm; } >/dev/null; then
  packages+=(nodejs npm)
fi

missing=()
for package in "${packages[@]}"; do
  # A plain query of dpkg's database: no lock, no network.
  if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]; then
    missing+=("$package")
  fi
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "setup: installing ${missing[*]}"
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Rust comes from its own installer, which people run themselves; Debian's is too old.
need=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
have=
if command -v cargo >/dev/null; then
  have=$(rustc --version 2>/dev/null | cut -d ' ' -f 2 || true)
fi
if [ -z "$have" ]; then
  echo "setup: Plenum needs Rust $need or newer, and no cargo and rustc that work are in PATH." >&2
  echo "       Install it as https://rustup.rs says, open another shell, and run this again." >&2
  exit 1
fi
if [ "$(printf '%s\n' "$need" "$have" | sort -V | head -n 1)" != "$need" ]; then
  echo "setup: Plenum needs Rust $need or newer, and $(command -v rustc) is $have." >&2
  echo "       'rustup update stable' brings a newer one. Without rustup (Rust of a Debian package): install it as https://rustup.rs says." >&2
  exit 1
fi

if [ "$level" = arm ]; then
  rustup target list --installed | grep -qx aarch64-unknown-linux-gnu || rustup target add aarch64-unknown-linux-gnu
  exit
fi

# aiortc is an independent WebRTC stack in Python, Schemathesis asks our REST API what it says of itself; they live in an
# environment of their own under target/.
if [ "$level" != build ]; then
  venv=target/python
  if ! cmp -s tests/interop/requirements.txt "$venv/installed"; then
    echo "setup: preparing the Python environment of the tests"
    mkdir -p target
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/interop/requirements.txt
    cp tests/interop/requirements.txt "$venv/installed"
  fi
fi

# Pexip's own client library and a bundler, in the versions of the lock file, under target/.
if [ "$level" != build ]; then
  pexip=target/pexip
  if ! cmp -s tests/interop/pexip/package-lock.json "$pexip/installed"; then
    echo "setup: preparing Pexip's client library for the interop tests"
    mkdir -p "$pexip"
    cp tests/interop/pexip/package.json tests/interop/pexip/package-lock.json "$pexip/"
    (cd "$pexip" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null)
    cp "$pexip/package-lock.json" "$pexip/installed"
  fi
fi
