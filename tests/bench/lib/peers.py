# SPDX-License-Identifier: GPL-2.0-or-later
"""The peers: ways to get a tree at a place, and to take it away again.

A place is open for one round of a row, or for all of them; what it needs lies in a directory of its own
below the work directory, on the same file system for every peer.
"""
import contextlib
import json
import os
import shutil
import subprocess
import time

from lib import command


class Unavailable(Exception):
	"""Why this machine has no such peer."""


def is_mounted(path):
	with open("/proc/self/mountinfo", encoding="utf-8") as f:
		return any(line.split()[4] == path for line in f)


class Place:
	"""`path` is where the tree is; `upper` is where the peer keeps what is written;
	`opened_in` are the seconds that it took."""
	has_checkout = True

	def __init__(self, peer, bench, tree, row):
		self.peer, self.bench, self.tree, self.row = peer, bench, tree, row
		self.options = ["volatile"] if row.volatile else []
		self.home = bench.new_directory()
		self.path, self.upper = f"{self.home}/merged", f"{self.home}/upper"
		self.mounts = []
		try:
			started = time.perf_counter()
			self.open()
			self.opened_in = time.perf_counter() - started
			if row.settle:
				command.run("sync", "-f", self.home)
			self.ask()
		except BaseException:
			self.close()
			raise

	def close(self):
		"""A bind mount is the same device to rm, so nothing may be mounted any more."""
		for path in reversed(self.mounts):
			self.unmount(path)
			if is_mounted(path):
				command.run("umount", "-l", path)
		command.run("rm", "-rf", "--one-file-system", self.home)

	def ask(self):
		"""Whatever is worth knowing about the peer, once."""

	def make_layers(self):
		for name in ("upper", "work", "merged"):
			os.mkdir(f"{self.home}/{name}")
		self.fill_upper()

	def fill_upper(self):
		if self.row.upper:
			self.row.upper(self.bench, self.upper)

	def layers(self, *lower):
		return ",".join([*lower, f"upperdir={self.upper},workdir={self.home}/work", *self.options])

	def unmount(self, path):
		subprocess.run(["umount", path], stderr=subprocess.DEVNULL, check=False)

	def processes(self):
		"""The pids of those that serve the place."""
		found = []
		for pid in filter(str.isdigit, os.listdir("/proc")):
			try:
				with open(f"/proc/{pid}/cmdline", "rb") as f:
					if self.home.encode() + b"/" in f.read():
						found.append(int(pid))
			except OSError:
				pass
		return found

	# What a row's job calls.

	def list_of(self, count):
		"""A file with the paths of `count` files of the tree, 0 behind each."""
		path = f"{self.home}/paths"
		with open(path, "wb") as f:
			f.write(b"".join(name + b"\0" for name in self.tree.paths(count)))
		return path

	def time(self, *args, shell=False, cwd="."):
		"""The seconds that a command takes in the tree; shell=True: a line for sh."""
		line = ("sh", "-c", *args) if shell else args
		started = time.perf_counter()
		command.run(*line, cwd=f"{self.path}/{cwd}", timeout=self.bench.job_timeout)
		return time.perf_counter() - started

	def operations(self, *args, cwd="."):
		"""{verb: operations per second} of tests/programs/bench-operations, which runs in the tree."""
		said = command.output(self.bench.program, *args, cwd=f"{self.path}/{cwd}", timeout=self.bench.job_timeout)
		lines = (line.split() for line in said.splitlines())
		return {verb: int(count) / float(seconds) for verb, count, seconds in lines}

	def rate(self, *args, cwd="."):
		"""The same for a run of one verb."""
		return next(iter(self.operations(*args, cwd=cwd).values()))


class Native(Place):
	"""A directory; for rows that write, a copy of it."""
	title = "native directory"

	def open(self):
		self.upper = self.path
		if self.row.writes:
			command.run("cp", "-a", "--reflink=auto", self.tree.checkout, self.path)
			self.fill_upper()
			return
		os.mkdir(self.path)
		command.run("mount", "-o", "bind,ro", self.tree.checkout, self.path)
		self.mounts.append(self.path)


class Overlay(Place):
	title = "kernel overlayfs over a checkout"

	@staticmethod
	def check(_bench):
		if shutil.which("modprobe"):
			subprocess.run(["modprobe", "-q", "overlay"], stderr=subprocess.DEVNULL, check=False)
		with open("/proc/filesystems", encoding="ascii") as f:
			if not any(line.split()[-1] == "overlay" for line in f):
				raise Unavailable("the kernel has no overlayfs")

	def open(self):
		self.make_layers()
		command.run("mount", "-t", "overlay", "-o", self.layers(f"lowerdir={self.tree.checkout}"), "overlay", self.path)
		self.mounts.append(self.path)


class FuseOverlayfs(Place):
	title = "fuse-overlayfs over a checkout"

	@staticmethod
	def check(_bench):
		if not shutil.which("fuse-overlayfs"):
			raise Unavailable("fuse-overlayfs is not installed")

	def open(self):
		self.make_layers()
		command.run("fuse-overlayfs", "-o", self.layers(f"lowerdir={self.tree.checkout}"), self.path)
		self.mounts.append(self.path)


class Ours(Place):
	title = "git-overlayfs"
	has_checkout = False
	own_options = ()

	def source(self):
		return [], f"{self.tree.repository}@main"

	def binary(self):
		return f"{self.bench.build}/src/cli/git-overlayfs"

	def open(self):
		self.make_layers()
		known = [option for option in self.own_options if "=" not in option or self.bench.has_option(self.binary(), option)]
		lower, source = self.source()
		command.run(self.binary(), "mount", "-o", self.layers(*lower, *known, *self.bench.extra_options), source, self.path)
		self.mounts.append(self.path)

	def processes(self):
		listed = json.loads(command.output(self.binary(), "list", "--json"))
		supervisor = next(item["supervisor"] for item in listed if item["mountpoint"] == self.path)
		# The daemon, and the broker where there is one.
		return [supervisor, *map(int, command.output("pgrep", "-P", str(supervisor)).split())]

	def ask(self):
		"""How data of the upper goes: earlier builds do not tell."""
		if self.peer not in self.bench.data_paths:
			self.bench.data_paths[self.peer] = None
			with contextlib.suppress(command.Failed):
				said = json.loads(command.output(self.binary(), "stats", "--json", self.path))[0]
				self.bench.data_paths[self.peer] = said["data_path"] + (f" ({said['reason']})" if said["reason"] else "")

	def unmount(self, path):
		subprocess.run([self.binary(), "umount", path], stderr=subprocess.DEVNULL, check=False)


class Plain(Ours):
	title = "git-overlayfs without passthrough, as the rootless have it"
	own_options = ("passthrough=off",)


class KernelOpens(Ours):
	title = "git-overlayfs where the kernel opens files by itself"
	own_options = ("opens=kernel",)


class ReadOnly(Ours):
	title = "git-overlayfs without an upper, where the kernel opens files: READ moves no access time"
	own_options = ("ro", "opens=kernel")

	def layers(self, *lower):
		return ",".join([*lower, *self.options])


class Collecting(Ours):
	title = "git-overlayfs without passthrough, the kernel collects writes"
	own_options = ("passthrough=off", "writeback=auto")


class OverDirectory(Ours):
	has_checkout = True
	title = "git-overlayfs over a checkout"

	def source(self):
		return [f"layer=dir:{self.tree.checkout}"], "none"


class Before(Ours):
	"""Another build of git-overlayfs, for those who change it."""
	title = "git-overlayfs, the build of --before"

	@staticmethod
	def check(bench):
		if not bench.before:
			raise Unavailable("no --before")

	def binary(self):
		return f"{self.bench.before}/src/cli/git-overlayfs"


class Floor(Native):
	"""What a row's round trips cost."""
	title = "the least that a FUSE server does: it mirrors a directory, one system call for a request"

	def open(self):
		super().open()
		below, self.path = self.path, f"{self.home}/floor"
		os.mkdir(self.path)
		command.run(f"{self.bench.build}/tests/programs/bench-floor", below, self.path)
		self.mounts.append(self.path)


class Clone(Place):
	title = "git clone --shared"
	has_checkout = False

	def open(self):
		command.run("git", "clone", "-q", "--shared", "--branch", "main", self.tree.repository, self.path,
			timeout=self.bench.job_timeout)


class Worktree(Place):
	title = "git worktree add"
	has_checkout = False

	def open(self):
		command.run("git", "--git-dir", self.tree.repository, "worktree", "add", "-q", "--detach", self.path, "main",
			timeout=self.bench.job_timeout)

	def close(self):
		super().close()
		command.run("git", "--git-dir", self.tree.repository, "worktree", "prune")


# In the order in which they take turns and are printed.
PEERS = {
	"native": Native, "overlay": Overlay, "fuse-overlayfs": FuseOverlayfs, "clone": Clone, "worktree": Worktree,
	"ours": Ours, "plain": Plain, "collect": Collecting, "opens": KernelOpens, "ro": ReadOnly, "ours-dir": OverDirectory, "floor": Floor, "before": Before,
}


def why_not(name, bench):
	"""Why this machine cannot have the peer, or None."""
	try:
		getattr(PEERS[name], "check", lambda _bench: None)(bench)
	except Unavailable as e:
		return str(e)
	return None
