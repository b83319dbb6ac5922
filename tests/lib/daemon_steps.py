# SPDX-License-Identifier: GPL-2.0-or-later
"""Operations through a mount while step-tracer counts, fails or ends the system calls of its daemon.

Each attempt has a directory of its own in the lower layer, all with the same content, so that
one mount serves many."""
import ctypes
import errno
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time

BUILD = os.environ["BUILD_DIR"]
os.environ["PATH"] = f"{BUILD}/src/cli:" + os.environ["PATH"] + ":/usr/sbin:/sbin"
LIBC = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE = 1, 2
AT_SYMLINK_FOLLOW = 0x400
START = time.time() - 1
OLD = 1_500_000_000


def renameat2(old, new, flags):
	if LIBC.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags) != 0:
		raise OSError(ctypes.get_errno(), "renameat2")


def write(path, flags):
	fd = os.open(path, os.O_WRONLY | flags)
	try:
		os.pwrite(fd, b"WRITTEN", 0)
		os.fsync(fd)
	finally:
		os.close(fd)


def allocate(path):
	fd = os.open(path, os.O_RDWR)
	try:
		os.posix_fallocate(fd, 0, 300000)
	finally:
		os.close(fd)


def nameless(d):
	fd = os.open(d, os.O_TMPFILE | os.O_RDWR, 0o640)
	try:
		if LIBC.linkat(-100, os.fsencode(f"/proc/self/fd/{fd}"), -100, os.fsencode(f"{d}/n"), AT_SYMLINK_FOLLOW) != 0:
			raise OSError(ctypes.get_errno(), "linkat")
	finally:
		os.close(fd)


# Name, and what is done in the directory.
CHANGES = {
	"create": lambda d: os.close(os.open(f"{d}/n", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)),
	"create-over-whiteout": lambda d: os.close(os.open(f"{d}/gone", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)),
	"create-in-lower": lambda d: os.close(os.open(f"{d}/sub/n", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)),
	"mkdir": lambda d: os.mkdir(f"{d}/n"),
	"mkdir-over-whiteout": lambda d: os.mkdir(f"{d}/gone"),
	"symlink": lambda d: os.symlink("there", f"{d}/n"),
	"mknod": lambda d: os.mkfifo(f"{d}/n"),
	"link-upper": lambda d: os.link(f"{d}/u", f"{d}/n"),
	"link-lower": lambda d: os.link(f"{d}/f", f"{d}/n"),
	"unlink-upper": lambda d: os.unlink(f"{d}/u"),
	"unlink-lower": lambda d: os.unlink(f"{d}/f"),
	"rmdir-upper": lambda d: os.rmdir(f"{d}/ue"),
	"rmdir-whiteouts": lambda d: os.rmdir(f"{d}/e"),
	"rename-upper": lambda d: os.rename(f"{d}/u", f"{d}/n"),
	"rename-lower": lambda d: os.rename(f"{d}/f", f"{d}/n"),
	"rename-over-lower": lambda d: os.rename(f"{d}/u", f"{d}/f"),
	"rename-directory": lambda d: os.rename(f"{d}/ud", f"{d}/n"),
	"rename-over-whiteouts": lambda d: os.rename(f"{d}/ud", f"{d}/e"),
	"rename-redirected": lambda d: os.rename(f"{d}/sub", f"{d}/n"),
	"rename-noreplace": lambda d: renameat2(f"{d}/f", f"{d}/n", NOREPLACE),
	"rename-exchange": lambda d: renameat2(f"{d}/u", f"{d}/f", EXCHANGE),
	"rename-exchange-directories": lambda d: renameat2(f"{d}/ud", f"{d}/sub", EXCHANGE),
	"chmod": lambda d: os.chmod(f"{d}/f", 0o600),
	"chmod-large": lambda d: os.chmod(f"{d}/big", 0o600),
	"chmod-fifo": lambda d: os.chmod(f"{d}/p", 0o600),
	"chmod-directory": lambda d: os.chmod(f"{d}/sub", 0o700),
	"chown": lambda d: os.chown(f"{d}/f", 1234, 1234),
	"chown-symlink": lambda d: os.lchown(f"{d}/l", 1234, 1234),
	"truncate": lambda d: os.truncate(f"{d}/f", 3),
	"utimens": lambda d: os.utime(f"{d}/f", (7, 7)),
	"setxattr": lambda d: os.setxattr(f"{d}/f", "user.k", b"v"),
	"open-truncate": lambda d: os.close(os.open(f"{d}/f", os.O_WRONLY | os.O_TRUNC)),
	"write": lambda d: write(f"{d}/f", 0),
	"fallocate": lambda d: allocate(f"{d}/f"),
	"nameless": nameless,
}


def fill(d):
	"""The directory of one attempt in the lower layer."""
	os.makedirs(f"{d}/sub/deep")
	os.mkdir(f"{d}/e")
	for name, size in ("f", 100), ("big", 50_000), ("gone", 5), ("e/only", 5), ("sub/a", 7), ("sub/deep/b", 9):
		with open(f"{d}/{name}", "wb") as f:
			f.write(name.encode() * size)
	os.symlink("target", f"{d}/l")
	os.mkfifo(f"{d}/p", 0o644)
	for top, dirs, files in os.walk(d, topdown=False):
		for name in dirs + files:
			os.utime(f"{top}/{name}", (OLD, OLD), follow_symlinks=False)
	os.utime(d, (OLD, OLD))


def prepare(d):
	"""And what the mount had changed before."""
	os.unlink(f"{d}/gone")
	os.unlink(f"{d}/e/only")
	os.mkdir(f"{d}/ud")
	os.mkdir(f"{d}/ue")
	for name in "u", "ud/x":
		with open(f"{d}/{name}", "w", encoding="ascii") as f:
			f.write(f"upper {name}")
	for name in "ud/x", "ud", "u", "ue", "e", "":
		os.utime(f"{d}/{name}", (OLD, OLD))


def state_of(path):
	st = os.lstat(path)
	mtime = "now" if st.st_mtime > START else st.st_mtime_ns
	known = [oct(st.st_mode), st.st_uid, st.st_gid, mtime]
	if stat.S_ISDIR(st.st_mode):
		return known
	if stat.S_ISLNK(st.st_mode):
		return known + [os.readlink(path)]
	known += [st.st_nlink, st.st_size]
	if stat.S_ISREG(st.st_mode):
		with open(path, "rb") as f:
			known.append(hash(f.read()))
		known.append({n: os.getxattr(path, n) for n in os.listxattr(path) if ".overlay." not in n})
	return known


def snapshot(d):
	"""Path to what is seen. An error is something that is seen, too."""
	result = {}
	wave = [d]
	while wave:
		path = wave.pop()
		try:
			result[path[len(d):]] = state_of(path)
			if os.path.isdir(path) and not os.path.islink(path):
				wave += [f"{path}/{name}" for name in os.listdir(path)]
		except OSError as e:
			result[path[len(d):] + " ERROR"] = errno.errorcode[e.errno]
	return result


def is_same(got, wanted):
	"""A directory's mtime may be new although nothing has changed in it."""
	if got.keys() != wanted.keys():
		return False
	for name, now in got.items():
		old = wanted[name]
		if now == old:
			continue
		if not now[0].startswith("0o40") or now[3] != "now" or now[:3] != old[:3]:
			return False
	return True


def difference(got, wanted):
	lines = [f"  {n}: got {got.get(n)}, wanted {wanted.get(n)}" for n in sorted(got.keys() | wanted.keys())
		if got.get(n) != wanted.get(n)]
	return "\n".join(lines)


class Mount:
	def __init__(self, lower, identity):
		self.lower, self.identity = lower, identity

	def start(self, descriptors=None, options=""):
		def limit():
			if descriptors:
				resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

		for name in "upper", "work", "ws":
			os.makedirs(name, exist_ok=True)
		here = os.getcwd()
		subprocess.run(["git-overlayfs", "mount", "-o", f"layer=dir:{here}/{self.lower},upperdir={here}/upper,"
			f"workdir={here}/work,id={self.identity}{options}", "none", "ws"], check=True, preexec_fn=limit)

	def daemon(self):
		text = subprocess.run(["git-overlayfs", "list", "--json"], check=True, stdout=subprocess.PIPE).stdout
		return [w["daemon"] for w in json.loads(text) if w["id"] == self.identity][0]

	def stop(self):
		subprocess.run(["git-overlayfs", "umount", "ws"], check=True)

	def wait_until_gone(self):
		end = time.time() + 10
		while os.path.ismount("ws") or self.is_listed():
			if time.time() > end:
				sys.exit("FAILED: the mount of a dead daemon is still there")
			time.sleep(0.02)

	def is_listed(self):
		text = subprocess.run(["git-overlayfs", "list", "--json"], check=True, stdout=subprocess.PIPE).stdout
		return any(w["id"] == self.identity for w in json.loads(text))

	def clean(self):
		if os.path.ismount("ws"):
			subprocess.run(["umount", "-l", "ws"], check=False)


class Tracer:
	"""As a context: the calls of the daemon from `first` to `last` fail with `error`, or it is killed (0)."""

	def __init__(self, daemon, first=0, last=0, error=0, calls="all"):
		words = [f"{BUILD}/tests/programs/step-tracer", str(daemon), calls, str(first), str(last), str(error or "kill")]
		self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
		self.calls, self.failed = 0, ""
		ready = self.process.stdout.readline()
		if ready != "ready\n":
			if self.process.wait() == 77:
				print("needs x86_64: " + ready)
				sys.exit(77)
			sys.exit("FAILED: step-tracer: " + ready)

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.process.send_signal(signal.SIGTERM)
		words = self.process.stdout.read().split()
		self.process.wait()
		self.calls, self.failed = int(words[0]), words[1] if len(words) > 1 else ""


def attempt(change, d):
	"""The name of the error, or "" for success."""
	try:
		CHANGES[change](d)
	except OSError as e:
		return errno.errorcode[e.errno]
	return ""


def empty(path):
	shutil.rmtree(path, ignore_errors=True)
