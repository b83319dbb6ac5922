# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154  # what engine.sh sets
# Many containers with a workspace at a time: source it after engine.sh.

# what_is_held: what a machine would run out of, one kind a line
what_is_held() {
	echo "processes $(daemons | wc -l)"
	echo "mounts $(wc -l </proc/self/mounts)"
	echo "records $(find /run/git-overlayfs -mindepth 1 -maxdepth 1 ! -name '.*' 2>/dev/null | wc -l)"
	echo "uppers $(find /var/lib/git-overlayfs -mindepth 1 -maxdepth 1 ! -name '.*' 2>/dev/null | wc -l)"
	echo "references $(git -C repo.git for-each-ref | wc -l)"
	echo "connections $(find /sys/fs/fuse/connections -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)"
}

# what_is_used: what others use as well, and is given back late
what_is_used() {
	echo "descriptors-of-all $(cut -f1 /proc/sys/fs/file-nr)"
	echo "memory-MiB $(awk '/^MemTotal:/ { all = $2 } /^MemAvailable:/ { print int((all - $2) / 1024) }' /proc/meminfo)"
}

# one_of_many NUMBER: a container that uses its workspace and ends
one_of_many() {
	local text
	text=$(runtime runc run --bundle bundle "$many_id-$1" 2>&1 </dev/null) || { echo "$1: $text" && return 1; }
	[ "$text" = plain ] || { echo "$1: got '$text'" && return 1; }
}

# many_containers COUNT AT-ONCE: all of them work, and afterwards the machine holds what it held before, and uses no more than
# half a descriptor and a quarter of a MiB more for each
many_containers() {
	local number
	many_id=$(container_id)
	bundle --hook "$(hook_list --mount="$PWD/repo.git@main,target=/workspace")" --hook "$(poststop_list)" -- \
		/bin/sh -c 'cd /workspace && echo changed >>data/rows.csv && cat file.txt'
	what_is_held >before
	what_is_used >used-before
	for number in $(seq "$1"); do
		while [ "$(jobs -rp | wc -l)" -ge "$2" ]; do wait -n || fail "a container of many: $(cat many.log)"; done
		one_of_many "$number" >>many.log 2>&1 &
	done
	while [ -n "$(jobs -rp)" ]; do wait -n || fail "a container of many: $(cat many.log)"; done
	wait_for 30 same_is_held || fail "after $1 containers: $(diff before after)"
	wait_for 30 little_more_is_used "$1" || fail "after $1 containers: $(diff used-before used-after)"
}

# little_more_is_used COUNT
little_more_is_used() {
	what_is_used >used-after
	join used-before used-after | awk -v count="$1" '
		/^descriptors/ && $3 - $2 > count / 2 { exit 1 }
		/^memory/ && $3 - $2 > count / 4 { exit 1 }'
}

same_is_held() {
	what_is_held >after
	cmp -s before after
}
