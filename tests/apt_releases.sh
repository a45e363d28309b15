#!/usr/bin/env bash
# Runs the comparisons with apt against the apt of other Debian releases, in chroots that debootstrap makes: the tests
# themselves are built here and started there, with the C library of this machine. Needs root and a network.
#   tests/apt_releases.sh [FOLDER]     FOLDER keeps the chroots for the next run
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-$(mktemp -d)}

build() {
  cargo test --locked --no-run --test "$1" --message-format=json 2>/dev/null |
    python3 -c "
import json, sys
for line in sys.stdin:
    made = json.loads(line)
    if made.get('executable') and made['target']['name'] == '$1':
        print(made['executable'])"
}

for release in bullseye trixie; do
  root="$folder/$release"
  [ -x "$root/usr/bin/apt-get" ] || debootstrap --variant=minbase "$release" "$root"
  mkdir -p "$root/t/lib" "$root$PWD"
  cp -a tests "$root$PWD/"
  for library in ld-linux-x86-64.so.2 libc.so.6 libgcc_s.so.1 libm.so.6; do
    cp -L "/lib/x86_64-linux-gnu/$library" "$root/t/lib/"
  done
  for name in apt_oracle updates_oracle; do
    cp "$(build "$name")" "$root/t/$name"
    echo "== $name with $(chroot "$root" apt-get --version | head -n 1)"
    chroot "$root" /t/lib/ld-linux-x86-64.so.2 --library-path /t/lib "/t/$name" --quiet
  done
done
