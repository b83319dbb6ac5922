# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What an installation holds, for the tests of packages: source it after case.sh.

# installed_files PREFIX: one path a line, in order
installed_files() {
	local page
	{
		printf '%s\n' "$1"/bin/git-overlayfs{,-runtime} "$1/sbin/mount.git-overlayfs" \
			"$1/libexec/oci/hooks.d/git-overlayfs-hook" \
			"$1"/share/containers/oci/hooks.d/50-git-overlayfs{,-poststop}.json \
			"$1/share/git-overlayfs/cdi-workspace.json" \
			"$1/share/bash-completion/completions/git-overlayfs" \
			"$1/share/zsh/site-functions/_git-overlayfs" \
			"$1/share/fish/vendor_completions.d/git-overlayfs.fish"
		for page in "$SOURCE_DIR"/docs/man/*; do echo "$1/share/man/man${page##*.}/${page##*/}"; done
	} | LC_ALL=C sort
}

# files_below DIR: all but directories, as paths in it
files_below() {
	(cd "$1" && find . ! -type d | sed 's/^\.//' | LC_ALL=C sort)
}

# expect_same_lines WHAT GOT WANTED
expect_same_lines() {
	local difference
	difference=$(diff <(echo "$3") <(echo "$2") || :)
	if [ -n "$difference" ]; then fail "$1 (< is wanted, > is there):"$'\n'"$difference"; fi
}

# expect_hook_paths DIR PREFIX: the files for engines in DIR name the hook of PREFIX
expect_hook_paths() {
	local file
	for file in "$1$2"/share/containers/oci/hooks.d/*.json "$1$2/share/git-overlayfs/cdi-workspace.json"; do
		expect_equal "the hook of $file" "$(python3 - "$file" <<-'PYTHON'
			import json, sys
			text = json.load(open(sys.argv[1]))
			hooks = [text["hook"]] if "hook" in text else text["devices"][0]["containerEdits"]["hooks"]
			print(*{hook["path"] for hook in hooks})
		PYTHON
		)" "$2/libexec/oci/hooks.d/git-overlayfs-hook"
	done
}
