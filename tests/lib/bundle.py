#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the config.json of an OCI bundle whose root file system is ROOTFS.

usage: bundle.py DIR ROOTFS [--userns FIRST] [--readonly] [--user UID:GID]
	[--annotation K=V]... [--env K=V]... [--hook STAGE=JSON-LIST]... [--propagation P] [--mount DESTINATION=SOURCE=OPTIONS]...
	[--join PID[:KIND,...]] [--capability NAME]... -- COMMAND...

A mount is a bind of SOURCE, or where that is the word tmpfs, one of those. --join: the namespaces that the containers of a
pod share, or those named, are those of that process; where the user namespace is one, --userns tells its map.
"""
import argparse
import json
import os
import sys

CAPABILITIES = [
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP",
]

POD_NAMESPACES = {"ipc": "ipc", "uts": "uts", "network": "net", "user": "user"}


def arguments():
	argv, command = sys.argv[1:], []
	if "--" in argv:
		argv, command = argv[:argv.index("--")], argv[argv.index("--") + 1:]
	parser = argparse.ArgumentParser()
	parser.add_argument("dir")
	parser.add_argument("rootfs")
	parser.add_argument("--userns", type=int)
	parser.add_argument("--readonly", action="store_true")
	parser.add_argument("--user", default="0:0")
	parser.add_argument("--annotation", action="append", default=[])
	parser.add_argument("--env", action="append", default=[])
	parser.add_argument("--hook", action="append", default=[])
	parser.add_argument("--mount", action="append", default=[])
	parser.add_argument("--propagation")
	parser.add_argument("--join")
	parser.add_argument("--capability", action="append", default=[])
	args = parser.parse_args(argv)
	args.command = command or ["/bin/true"]
	return args


def mounts(args):
	yield {"destination": "/proc", "type": "proc", "source": "proc"}
	yield {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
		"options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}
	for text in args.mount:
		destination, source, options = text.split("=", 2)
		kind = "tmpfs" if source == "tmpfs" else "bind"
		yield {"destination": destination, "type": kind, "source": source, "options": options.split(",")}


def hooks(args):
	table = {}
	for text in args.hook:
		stage, command = text.split("=", 1)
		command = json.loads(command)
		table.setdefault(stage, []).append({
			"path": command[0], "args": command, "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "timeout": 60,
		})
	return table


def linux(args):
	kinds = ["pid", "ipc", "uts", "mount", "network"]
	config = {}
	if args.userns is not None:
		kinds.append("user")
		mapping = [{"containerID": 0, "hostID": args.userns, "size": 65536}]
		config["uidMappings"] = config["gidMappings"] = mapping
	if args.propagation:
		config["rootfsPropagation"] = args.propagation
	config["namespaces"] = [{"type": kind} for kind in kinds]
	pid, _, joined = (args.join or "").partition(":")
	joined = joined.split(",") if joined else POD_NAMESPACES
	for namespace in config["namespaces"]:
		if pid and namespace["type"] in joined:
			namespace["path"] = f"/proc/{pid}/ns/{POD_NAMESPACES[namespace['type']]}"
	return config


def main():
	args = arguments()
	uid, gid = (int(part) for part in args.user.split(":"))
	config = {
		"ociVersion": "1.0.2",
		"root": {"path": args.rootfs, "readonly": args.readonly},
		"hostname": "test",
		"process": {
			"terminal": False,
			"user": {"uid": uid, "gid": gid},
			"args": args.command,
			"env": ["PATH=/bin:/sbin:/usr/bin", *args.env],
			"cwd": "/",
			"noNewPrivileges": True,
			"capabilities": {kind: CAPABILITIES + args.capability for kind in ("bounding", "effective", "permitted")},
		},
		"mounts": list(mounts(args)),
		"annotations": dict(text.split("=", 1) for text in args.annotation),
		"hooks": hooks(args),
		"linux": linux(args),
	}
	os.makedirs(args.dir, exist_ok=True)
	with open(os.path.join(args.dir, "config.json"), "w", encoding="utf-8") as f:
		json.dump(config, f, indent="\t")


if __name__ == "__main__":
	main()
