# SPDX-License-Identifier: GPL-2.0-or-later
"""The trees that rows work on: a bare repository with a branch main, and a checkout of it for the other peers.

They are made once and kept in the work directory.
"""
import contextlib
import fcntl
import functools
import os
import random
import shutil
import subprocess

from lib import command

SOURCE_DIR = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))


class Tree:
	"""`checkout` is a function that makes it, and gives its path."""

	def __init__(self, name, repository, checkout):
		self.name, self.repository, self.make_checkout = name, repository, checkout

	@functools.cached_property
	def checkout(self):
		return self.make_checkout()

	def read_all(self, has_checkout):
		"""Brings what is below into the host's page cache, where all peers find it. Of a million files only the inodes: nobody reads more."""
		command.run("sh", "-c", "find objects -type f -exec cat {} + >/dev/null", cwd=self.repository)
		read = "find . -size +1000000k" if self.name.startswith("many") else "tar -cf - . | cat >/dev/null"
		if has_checkout:
			command.run("sh", "-c", read, cwd=self.checkout)

	def paths(self, count):
		"""`count` paths of files, spread over the whole tree; no symlinks."""
		listed = subprocess.run(["git", "--git-dir", self.repository, "ls-tree", "-r", "-z", "main"],
			check=True, stdout=subprocess.PIPE).stdout.split(b"\0")[:-1]
		names = [line.partition(b"\t")[2] for line in listed if not line.startswith(b"120000")]
		return names[::max(len(names) // count, 1)][:count]


def import_files(repository, files):
	"""One commit of (path, contents) in a new bare repository."""
	command.run("git", "init", "-q", "--bare", repository)
	command.run("git", "--git-dir", repository, "symbolic-ref", "HEAD", "refs/heads/main")
	importer = subprocess.Popen(["git", "--git-dir", repository, "fast-import", "--quiet"], stdin=subprocess.PIPE)
	send = importer.stdin.write
	send(b"commit refs/heads/main\ncommitter C <c@example.com> 1700000000 +0000\ndata 1\nx\n")
	for path, data in files:
		send(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
	importer.stdin.close()
	if importer.wait() != 0:
		raise command.Failed("git fast-import failed")


def small_files(count):
	"""Three quarters of them to be removed, the rest to be chowned; 100 in a directory, 0.1 to 4 KiB of text."""
	for i in range(count):
		top = "remove" if i < count * 3 // 4 else "chown"
		line = b"%d: the quick brown fox jumps over the lazy dog %x\n" % (i, i * 2654435761 % 2**32)
		yield f"{top}/d{i // 100:03}/f{i % 100:02}", line * (2 + i * 7 % 60)


def many_files(count):
	for i in range(count):
		yield f"d{i // 10000:03}/d{i // 100 % 100:02}/f{i % 100:02}", b"file %d\n" % i


def large_file(megabytes):
	source = random.Random(megabytes)
	yield "data", b"".join(source.randbytes(1 << 20) for _ in range(megabytes))


GENERATED = {
	"one": lambda _count: [("file", b"one file\n"), ("dir/file", b"another\n")],
	"small": small_files,
	"many": many_files,
	"large": large_file,
}
COUNTS = {"one": 2, "small": 20000, "many": 1000000, "large": 256}


class Trees:
	def __init__(self, directory, scale, say):
		self.directory, self.scale, self.say = directory, scale, say
		self.made = {}
		os.makedirs(directory, exist_ok=True)

	def get(self, name):
		"""linux; or one of GENERATED, with ":COUNT" behind it for another number of files than usual."""
		if name not in self.made:
			self.made[name] = self.make(name)
		return self.made[name]

	def make(self, name):
		kind, _, count = name.partition(":")
		if kind == "linux":
			repository = self.linux()
		else:
			count = int(count or max(int(COUNTS[kind] * (1 if kind == "one" else self.scale)), 2))
			name = f"{kind}-{count}"
			repository = self.once(f"{name}.git", lambda path: import_files(path, GENERATED[kind](count)))
		return Tree(name, repository, lambda: self.once(name, lambda path: self.check_out(repository, path)))

	@contextlib.contextmanager
	def lock(self):
		"""Two runs do not make the same at once."""
		with open(f"{self.directory}/lock", "w", encoding="ascii") as f:
			fcntl.flock(f, fcntl.LOCK_EX)
			yield

	def once(self, name, make):
		path = f"{self.directory}/{name}"
		with self.lock():
			if not os.path.isdir(path):
				self.say(f"making {name}")
				shutil.rmtree(path + ".making", ignore_errors=True)
				make(path + ".making")
				os.rename(path + ".making", path)
		return path

	def linux(self):
		script = os.path.join(SOURCE_DIR, "tests/lib/linux-repository")
		with self.lock():
			return command.output("env", f"BUILD_DIR={os.path.dirname(self.directory)}", script)

	@staticmethod
	def check_out(repository, path):
		os.mkdir(path)
		subprocess.run(["sh", "-c", 'git --git-dir="$1" -c tar.umask=022 archive main | tar -x -p -C "$2"', "sh",
			repository, path], check=True)
