#!/bin/sh
# Writes tests/sshd_results/{8.4,9.2,10.0}: what sshd of Debian 11, 12 and 13 prints for every question of
# tests/sshd_oracle.rs. Needs root, debootstrap and a Debian mirror; FOLDER keeps the three trees.
set -eu
FOLDER=${FOLDER:-/var/tmp/sshd-results}
MIRROR=${MIRROR:-http://deb.debian.org/debian}
cd "$(dirname "$0")/../.."
ROOTS=
for release in bullseye bookworm trixie; do
    if [ ! -e "$FOLDER/$release/usr/sbin/sshd" ]; then
        debootstrap --variant=minbase --include=openssh-server,netbase "$release" "$FOLDER/$release" "$MIRROR"
    fi
    ROOTS=$ROOTS:$FOLDER/$release
done
SSHD_RESULTS=write SSHD_ORACLE_ROOTS=$ROOTS cargo test --test sshd_oracle every_question
