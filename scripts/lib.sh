# shellcheck shell=bash
# What the scripts of this folder share: finding the programs they need and installing those that are missing.
# Sourced, never run. Everything installed without the system's package manager goes to target/tools.

set -Eeuo pipefail
trap 'printf "error: failed%s\n" "${STEP:+: $STEP}" >&2' ERR

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
TOOLS="$ROOT/target/tools"
VENV="$TOOLS/venv"
RUST_MINIMUM=1.95
NODE_MINIMUM=20.19
# For building camera-relay and the all-in-one, as deploy/Dockerfile does.
MEDIA_PACKAGES=(libopencv-core-dev libopencv-imgproc-dev libavcodec-dev libavformat-dev libavutil-dev libswscale-dev libswresample-dev
  clang pkg-config g++)
export PATH="$TOOLS/bin:$VENV/bin:$HOME/.cargo/bin:$PATH"
cd "$ROOT"

say() { printf '\n==> %s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# version_at_least MINIMUM ACTUAL
version_at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

is_installed() { [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = "install ok installed" ]; }

# need_apt PACKAGE...: installs what is missing of them, and says so.
need_apt() {
  local package missing=()
  if ! command -v apt-get >/dev/null; then
    say "This is not Debian or Ubuntu: going on, in the hope that the likes of these are installed: $*"
    return
  fi
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  if [ "${#missing[@]}" -eq 0 ]; then return; fi
  say "Installing with apt: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

need_compiler() { need_apt build-essential ca-certificates curl; }

# need_media: what the media crates link against, and what makes their bindings.
need_media() {
  need_compiler
  if command -v apt-get >/dev/null; then
    need_apt "${MEDIA_PACKAGES[@]}"
    find_opencv
    return
  fi
  local missing=() library
  for library in libavcodec libavformat libavutil libswscale libswresample; do
    pkg-config --exists "$library" 2>/dev/null || missing+=("$library")
  done
  command -v clang >/dev/null || missing+=(clang)
  if [ "${#missing[@]}" -gt 0 ]; then
    die "install FFmpeg 5.1 to 8 and OpenCV 4 (core and imgproc) with their headers, pkg-config and clang; not found: ${missing[*]}"
  fi
  say "If OpenCV is not found, set OPENCV_LINK_LIBS, OPENCV_LINK_PATHS and OPENCV_INCLUDE_PATHS as in .cargo/config.toml"
}

# need_cameras: real RTSP cameras to try against, by GStreamer's server.
need_cameras() {
  need_apt ffmpeg python3-gi gir1.2-gst-rtsp-server-1.0 glib-networking gstreamer1.0-libav \
    gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
}

# Debian's OpenCV comes without a pkg-config file. `.cargo/config.toml` says where it is on x86-64; what the environment says stands above that.
find_opencv() {
  local machine
  machine=$(gcc -dumpmachine)
  if [ "$machine" = x86_64-linux-gnu ]; then return; fi
  export OPENCV_LINK_PATHS="${OPENCV_LINK_PATHS:-/usr/lib/$machine}"
  export OPENCV_INCLUDE_PATHS="${OPENCV_INCLUDE_PATHS:-/usr/include/opencv4,/usr/include/$machine/opencv4}"
}

# need_rust: cargo and rustc of at least RUST_MINIMUM; rustup brings them where they are missing.
need_rust() {
  if command -v rustc >/dev/null && version_at_least "$RUST_MINIMUM" "$(rustc --version | cut -d ' ' -f 2)"; then
    return
  fi
  if ! command -v rustup >/dev/null; then
    say "Installing rustup, which installs Rust, into ~/.cargo and ~/.rustup"
    curl --proto '=https' --tlsv1.2 --fail --silent --show-error --max-time 120 https://sh.rustup.rs |
      sh -s -- -y --no-modify-path --profile minimal --default-toolchain none ||
      die "Rust $RUST_MINIMUM or newer is needed and could not be installed; see https://rustup.rs"
  fi
  say "Installing Rust $RUST_MINIMUM with rustup, for this folder"
  rustup toolchain install "$RUST_MINIMUM" --profile minimal --component clippy --component rustfmt
  export RUSTUP_TOOLCHAIN="$RUST_MINIMUM"
}

# need_python REQUIREMENTS [FOLDER [OPTION...]]: a virtual environment in target/tools with what the file names; the options are pip's.
need_python() {
  local requirements=$1 folder=${2:-$VENV}
  # One that does not run any more was made by a Python that is gone.
  if ! "$folder/bin/python" -c '' 2>/dev/null; then
    need_apt python3 python3-venv
    rm -rf "$folder"
    python3 -m venv "$folder"
  fi
  # The stamp saves pip's four seconds when nothing has changed.
  if ! cmp -s "$requirements" "$folder/$(basename "$requirements")"; then
    say "Installing Python packages into target/tools: $(grep -v '^#' "$requirements" | tr '\n' ' ')"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "${@:3}" -r "$requirements"
    cp "$requirements" "$folder/$(basename "$requirements")"
  fi
}

# need_node: node of at least NODE_MINIMUM, and npm; a Python wheel brings them where they are missing or too old.
need_node() {
  if command -v npm >/dev/null && version_at_least "$NODE_MINIMUM" "$(node --version 2>/dev/null | tr -d v)"; then
    return
  fi
  say "Node $NODE_MINIMUM or newer is not here"
  need_python scripts/requirements-node.txt
  mkdir -p "$TOOLS/bin"
  ln -sf "$VENV"/bin/{node,npm,npx} "$TOOLS/bin/"
}

# build_binaries debug|release. For debug all of the workspace at once, tests too, with the features that clippy and cargo test use: cargo
# gives a package that is built alone fewer, and would compile what it depends on a second time.
build_binaries() {
  case $1 in
    debug) cargo build --workspace --all-targets --locked --quiet ;;
    release) cargo build --release --locked --quiet --bin camera-relay --bin chat-gateway --bin console --bin crypto-service --bin patchbay ;;
    *) die "binaries are debug or release, not $1" ;;
  esac
}

# step NAME COMMAND...: runs the command and says how long it took; a failure ends the script, saying which step it was.
step() {
  STEP=$1
  local started=$SECONDS
  shift
  say "$STEP"
  "$@"
  printf -- '--- %s: %d s\n' "$STEP" "$((SECONDS - started))"
  STEP=
}
