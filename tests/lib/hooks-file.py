#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hooks-file.py TEMPLATE FILE HOOK OPTION...: writes the hooks.d file that is installed, for
the uninstalled HOOK with more options; with a --mount it is for every container."""
import json
import sys


def main():
	template, file, hook, *options = sys.argv[1:]
	with open(template, encoding="utf-8") as f:
		config = json.load(f)
	config["hook"]["path"] = hook
	config["hook"]["args"][1:1] = options
	if any(option.startswith("--mount") for option in options):
		config["when"] = {"always": True}
	with open(file, "w", encoding="utf-8") as f:
		json.dump(config, f)


if __name__ == "__main__":
	main()
