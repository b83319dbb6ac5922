# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The doctor and the faults that it is to find, in a fixture root or for real: source it after case.sh.

root=$PWD/root
mkdir -p root/{etc,proc/sys/kernel,proc/sys/user,sys/fs/selinux,usr/bin,var/lib}
export GIT_OVERLAYFS_DOCTOR_ROOT=$root
: >said
# The sources that tests/cases/cli-doctor-engines has the findings of.
# shellcheck disable=SC2034
engine_sources=(doctor-hooks.c doctor-docker.c doctor-containerd.c)

# put FILE TEXT: a file of the fixture
put() {
	mkdir -p "$root${1%/*}"
	printf '%b\n' "$2" >"$root$1"
}

# finds STATE NAME PATTERN [COMMAND...]: the doctor's line NAME has that state and matches
finds() {
	local state=$1 name=$2 pattern=$3 line
	shift 3
	line=$("${@:-git-overlayfs}" doctor 2>errors | tee -a said | grep -E "^[a-z]+ +$name: ") || :
	grep -Eq "^$state +$name: .*$pattern" <<<"$line" ||
		fail "the doctor said '$line', wanted $state and /$pattern/; errors: $(cat errors)"
}

# built NAME: what the build makes of it, as build-config.h has it
built() {
	local value
	value=$(sed -n "s/^#define $1 \"\(.*\)\"/\1/p" "$BUILD_DIR/build-config.h")
	[ -n "$value" ] || fail "no $1 in build-config.h"
	echo "$value"
}

# expect_all_found SOURCE...: finds() has met each finding of these sources
expect_all_found() {
	"$SOURCE_DIR/tests/lib/doctor-findings.py" said "$@" || fail "findings that no fault was made for"
}
