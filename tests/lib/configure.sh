# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the tests of `git-overlayfs configure` share: source it after case.sh.

# In the place of those that may be installed here or not. dockerd says nothing, containerd what it has read.
mkdir fakes
printf '#!/bin/sh\n' >fakes/dockerd
# shellcheck disable=SC2016
printf '#!/bin/sh\ncat "$2"\n' >fakes/containerd
chmod 755 fakes/*
PATH=$PWD/fakes:$PATH

# value NAME: of build-config.h
value() { sed -n "s/^#define $1 \"\(.*\)\"/\1/p" "$BUILD_DIR/build-config.h"; }
runtime=$(value RUNTIME_PATH) hooks=$(value HOOKS_DIR) program=$(value PROGRAM_PATH)
if [ -z "$runtime" ] || [ -z "$hooks" ] || [ -z "$program" ]; then fail "paths are missing in build-config.h"; fi
umask 022
configure() { git-overlayfs configure --system --root "$PWD/root" "$@"; }
# All of it but times.
state_of_root() { tar --sort=name --mtime=@0 --numeric-owner -C root -cf - . | sha256sum; }
new_root() { rm -rf root && mkdir root; }
# write FILE: from standard input
write() { mkdir -p "root${1%/*}" && cat >"root$1"; }

# names DIR: what is in it, hidden or not, in one line
names() { find "root$1" -mindepth 1 -maxdepth 1 -printf '%f\n' | LC_ALL=C sort | tr '\n' ' '; }
