# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What a part of the project needs from the distribution, and how it gets there.
# "a|b": the first that the distribution has; "a|": if it has it.

packages_apt() {
	case $1 in
	build) echo gcc libc6-dev meson ninja-build 'pkgconf|pkg-config' git python3 libfuse3-dev libgit2-dev \
		libseccomp-dev libyajl-dev zlib1g-dev libdeflate-dev nettle-dev libcmocka-dev ;;
	clang) echo clang ;;
	valgrind) echo valgrind ;;
	lint) echo clang clang-format clang-tidy shellcheck mandoc ;;
	cases) echo fuse3 sqlite3 attr acl uidmap util-linux procps e2fsprogs rsync strace make flex bison bc libelf-dev \
		xz-utils busybox-static fuse-overlayfs linux-source systemd python3-yaml debhelper lintian rpm zsh \
		fish autofs ;;
	engines) echo fuse3 sqlite3 runc crun podman buildah uidmap slirp4netns busybox-static fuse-overlayfs \
		libcap2-bin util-linux procps catatonit docker.io 'docker-cli|docker.io' 'docker-buildx|docker.io' containerd \
		python3-grpcio distrobox podman-toolbox dbus-daemon 'criu|' ;;
	software) echo fuse3 attr acl bc rsync util-linux procps stress-ng fio dbench bonnie++ sqlite3 debootstrap \
		debian-archive-keyring cmake postgresql postgresql-contrib nodejs libcap2-bin ;;
	bench) echo fuse-overlayfs sqlite3 util-linux make flex bison bc libelf-dev xz-utils xfsprogs linux-source ;;
	quickstart) echo 'runc|crun' busybox-static sqlite3 ;;
	esac
}

packages_dnf() {
	case $1 in
	build) echo gcc meson ninja-build pkgconf-pkg-config git python3 fuse3-devel libgit2-devel libseccomp-devel \
		yajl-devel zlib-devel libdeflate-devel nettle-devel libcmocka-devel ;;
	clang) echo clang ;;
	valgrind) echo valgrind ;;
	lint) echo clang clang-tools-extra ShellCheck mandoc ;;
	cases) echo fuse3 sqlite attr acl shadow-utils util-linux procps-ng e2fsprogs rsync strace make flex bison bc \
		elfutils-libelf-devel xz busybox fuse-overlayfs systemd python3-pyyaml rpm-build zsh fish autofs ;;
	engines) echo fuse3 sqlite runc crun podman buildah shadow-utils slirp4netns busybox fuse-overlayfs libcap \
		util-linux procps-ng catatonit moby-engine containerd python3-grpcio distrobox toolbox dbus-daemon criu ;;
	software) echo fuse3 attr acl bc rsync util-linux procps-ng stress-ng fio dbench sqlite cmake postgresql-server \
		postgresql-contrib nodejs libcap ;;
	bench) echo fuse-overlayfs sqlite util-linux make flex bison bc elfutils-libelf-devel xz xfsprogs ;;
	quickstart) echo 'runc|crun' busybox sqlite ;;
	esac
}

package_is_installed() {
	if command -v dpkg-query >/dev/null; then
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
	else
		rpm -q --quiet "$1"
	fi
}

# packages_missing SET...: one name a line
packages_missing() {
	local set item name choice
	for set; do
		for item in $("packages_$package_manager" "$set"); do
			for name in ${item//|/ }; do
				if package_is_installed "$name"; then continue 2; fi
			done
			choice=${item%%|*}
			if [ "${item: -1}" = '|' ]; then choice=; fi
			for name in ${item//|/ }; do
				if [ "$package_manager" = apt ] && ! apt-cache show "$name" >/dev/null 2>&1; then continue; fi
				choice=$name
				break
			done
			if [ -n "$choice" ]; then echo "$choice"; fi
		done
	done | sort -u
}

# packages_install SET...: installs what is missing, without questions; needs root for that.
packages_install() {
	local missing command
	if command -v apt-get >/dev/null; then
		package_manager=apt command='apt-get install -y -o DPkg::Lock::Timeout=300 --no-install-recommends'
	elif command -v dnf >/dev/null; then
		package_manager=dnf command='dnf install -y --setopt=install_weak_deps=False'
	else
		echo "neither apt-get nor dnf here: the programs and libraries must be there already" >&2
		return 0
	fi
	missing=$(packages_missing "$@")
	if [ -z "$missing" ]; then return 0; fi
	if [ "$(id -u)" != 0 ]; then
		printf 'missing packages; as root run:\n\t%s %s\n' "$command" "${missing//$'\n'/ }" >&2
		return 1
	fi
	if [ "$package_manager" = apt ]; then
		export DEBIAN_FRONTEND=noninteractive
		if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ]; then
			echo "apt-get update"
			apt-get update -q >/dev/null
		fi
		missing=$(packages_missing "$@")
	fi
	echo "installing: ${missing//$'\n'/ }"
	# shellcheck disable=SC2086  # a list of words, both
	$command $missing >"${PACKAGES_LOG:-/dev/null}" </dev/null || {
		echo "failed: $command ${missing//$'\n'/ }" >&2
		return 1
	}
}
