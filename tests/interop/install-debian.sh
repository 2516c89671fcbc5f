#!/bin/sh
# Installs Debian packages whose programs tests/interop plays against. Says why when it cannot, and then exits
# with 1: no test needs them, those that would use them say in their skip what is missing.
set -u

fail() {
  echo "test-deps: $1; the tests that want these programs will be skipped: $wanted" >&2
  exit 1
}

wanted="$*"
missing=""
for package in "$@"; do
  if command -v dpkg-query >/dev/null 2>&1 &&
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$'; then
    continue
  fi
  missing="$missing $package"
done
if [ -z "$missing" ]; then
  echo "test-deps: all there: $wanted"
  exit 0
fi
wanted="${missing# }"

command -v apt-get >/dev/null 2>&1 || fail "this system has no apt-get"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null 2>&1 || fail "not root, and there is no sudo"
  # -n: a question for a password that nobody sees would hang an unattended run.
  if [ -t 0 ]; then as_root="sudo"; else as_root="sudo -n"; fi
  $as_root true 2>/dev/null || fail "sudo does not let this user install packages"
fi

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive timeout 300 apt-get -q -y \
    -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=60 "$@" >>"$log" 2>&1
}
said() { grep -E '^(E|W|Err):?' "$log" | tail -n 3 | tr '\n' ' '; }

# A failed update is no end: what is in the lists may be enough.
apt update || echo "test-deps: apt-get update failed: $(said)" >&2
# shellcheck disable=SC2086 # a list of names
apt install --no-install-recommends $missing || fail "apt-get install failed: $(said)"
echo "test-deps: installed:$missing"
