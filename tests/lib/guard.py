#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one test and holds it to the rules of the house.

usage: guard.py [--timeout S] [--grace S] [--mounts all|own] --result FILE --log FILE PROGRAM [ARG...]

The test runs in a fresh directory, in a session of its own, with a time-out. As
root it also gets a PID and a mount namespace, a /dev/fuse, a /dev/shm and the system's
run and state directories of its own, and what it changes in /etc and /usr is nobody
else's, so that tests do not meet. TEST_UID is a number that no other test has at the time: for a
user whose records, which /tmp has by the uid, are the test's. Afterwards no
descendant, no mount, no workspace record and no change of /dev/fuse may be left of
it; what is left is named, removed, and fails the test. The result file gets
"STATUS<tab>SECONDS<tab>REASON".

--mounts own stays in the namespace of the caller and looks only at mounts below
the test's directory: for tests that mount nothing.
"""
import argparse
import ctypes
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLONE_NEWNS, CLONE_NEWPID = 0x20000, 0x20000000
MS_NOSUID, MS_NODEV = 2, 4
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 1 << 12, 1 << 14, 1 << 18, 1 << 20
MNT_FORCE, MNT_DETACH, UMOUNT_NOFOLLOW = 1, 2, 8
SKIP = 77
RECORDS = ("/run/git-overlayfs", "/var/lib/git-overlayfs")
USER_RECORDS = "/tmp/git-overlayfs-"  # of who has no XDG_RUNTIME_DIR, by the uid
FIRST_UID = 10_000_000  # above the users and the subordinate ids of machines and of tests
CHANGED = ("/etc", "/usr")  # users, configuration of engines, hooks
LIBC = ctypes.CDLL(None, use_errno=True)


def mounts():
	"""{mount id: mountpoint} of our mount namespace."""
	table = {}
	with open("/proc/self/mountinfo", "rb") as f:
		for line in f:
			field = line.split(b" ")
			point = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), field[4])
			table[int(field[0])] = os.fsdecode(point)
	return table


def descendants():
	"""{pid: name} of all that descend from us, zombies aside."""
	parent, name = {}, {}
	for entry in os.listdir("/proc"):
		if not entry.isdigit():
			continue
		try:
			with open(f"/proc/{entry}/stat", "rb") as f:
				text = f.read()
		except OSError:
			continue
		comm, rest = text[text.index(b"(") + 1:text.rindex(b")")], text[text.rindex(b")") + 2:].split()
		parent[int(entry)] = int(rest[1])
		if rest[0] not in (b"Z", b"X"):
			name[int(entry)] = os.fsdecode(comm)
	found, wave = {}, {os.getpid()}
	while wave:
		wave = {pid for pid, up in parent.items() if up in wave}
		found.update({pid: name[pid] for pid in wave if pid in name})
	return found


def records(directories):
	found = set()
	for directory in directories:
		try:
			# What begins with a dot is no record: the history of all of them.
			found |= {f"{directory}/{entry}" for entry in os.listdir(directory) if not entry.startswith(".")}
		except OSError:
			pass
	return found


def fuse_device():
	try:
		st = os.stat("/dev/fuse")
	except OSError:
		return None
	return (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid)


def mount(source, target, kind, flags, options=None):
	data = os.fsencode(options) if options else None
	if LIBC.mount(os.fsencode(source), os.fsencode(target), os.fsencode(kind), flags, data) != 0:
		number = ctypes.get_errno()
		raise OSError(number, os.strerror(number), target)


def root_is_shared():
	with open("/proc/self/mountinfo", "rb") as f:
		return any(b" shared:" in line for line in f if line.split(b" ")[4] == b"/")


def unshare(flags):
	if LIBC.unshare(flags) != 0:
		number = ctypes.get_errno()
		raise OSError(number, f"unshare: {os.strerror(number)}")


def isolate(base):
	"""A mount namespace of our own, with the propagation of the old one, and private copies of
	what is the machine's. Returns the mountpoints."""
	was_shared = root_is_shared()
	unshare(CLONE_NEWNS)
	mount("none", "/", "none", MS_REC | MS_PRIVATE)
	mount("proc", "/proc", "proc", 0)
	if was_shared:
		mount("none", "/", "none", MS_REC | MS_SHARED)
	points = ["/proc"]
	for number, directory in enumerate(RECORDS):
		os.makedirs(directory, exist_ok=True)
		st = os.stat(directory)
		own = f"{base}/records{number}"
		os.mkdir(own)
		os.chmod(own, stat.S_IMODE(st.st_mode))
		mount(own, directory, "none", MS_BIND)
		points.append(directory)
	# podman counts its locks there, of all its storages.
	if os.path.isdir("/dev/shm"):
		mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV)
		points.append("/dev/shm")
	own = f"{base}/own"
	os.mkdir(own)
	mount("tmpfs", own, "tmpfs", 0)
	points.append(own)
	for directory in CHANGED:
		upper, work = f"{own}/upper{directory}", f"{own}/work{directory}"
		os.makedirs(upper)
		os.makedirs(work)
		shutil.copystat(directory, upper)
		try:
			mount("overlay", directory, "overlay", 0, f"lowerdir={directory},upperdir={upper},workdir={work}")
		except OSError:
			continue  # a kernel without it; then tests that run at the same time may meet
		points.append(directory)
	if os.path.exists("/dev/fuse"):
		st = os.stat("/dev/fuse")
		os.mknod(f"{own}/fuse", st.st_mode, st.st_rdev)
		os.chmod(f"{own}/fuse", stat.S_IMODE(st.st_mode))
		os.chown(f"{own}/fuse", st.st_uid, st.st_gid)
		mount(f"{own}/fuse", "/dev/fuse", "none", MS_BIND)
		points.append("/dev/fuse")
	return points


def signal_pid(pid, number):
	try:
		os.kill(pid, number)
	except OSError:
		pass


def unmount(point):
	path = os.fsencode(point)
	LIBC.umount2(path, MNT_FORCE | UMOUNT_NOFOLLOW)
	if LIBC.umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) != 0:
		subprocess.run(["fusermount3", "-uz", "--", point], stderr=subprocess.DEVNULL,
			stdout=subprocess.DEVNULL, check=False)


def remove_tree(path):
	"""Read-only, immutable and foreign-owned leftovers too; never across a mount."""
	attempts = (
		["rm", "-rf", "--one-file-system", "--", path],
		["chmod", "-R", "u+rwX", "--", path],
		["rm", "-rf", "--one-file-system", "--", path],
		["chattr", "-R", "-f", "-i", "-a", path],
		["rm", "-rf", "--one-file-system", "--", path],
		["unshare", "--map-root-user", "--map-auto", "rm", "-rf", "--one-file-system", "--", path],
	)
	for attempt in attempts:
		if not os.path.lexists(path):
			return True
		if shutil.which(attempt[0]):
			subprocess.run(attempt, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
	return not os.path.lexists(path)


class Guard:
	def __init__(self, args):
		self.args = args
		self.status = None  # of waitpid
		self.child = None
		self.problems = []
		self.timed_out = False
		self.is_childless = False
		self.base = tempfile.mkdtemp(prefix="git-overlayfs-test.")
		os.chmod(self.base, 0o755)
		for name in ("cwd", "home", "run", "state"):
			os.mkdir(f"{self.base}/{name}", 0o755)
		self.user_records = f"{USER_RECORDS}{args.uid}"
		self.record_dirs = RECORDS + (self.user_records,)
		if args.is_isolated:
			remove_tree(self.user_records)  # of a test whose guard was killed
		self.own_mounts = isolate(self.base) if args.is_isolated else []
		self.mounts, self.records, self.fuse = mounts(), records(self.record_dirs), fuse_device()
		self.log = open(args.log, "ab", buffering=0)

	def note(self, text):
		self.log.write(os.fsencode(f"guard: {text}\n"))

	def environment(self):
		env = dict(os.environ)
		for name in list(env):
			if name.startswith(("GIT_", "XDG_", "LC_")):
				del env[name]
		env.update({
			"HOME": f"{self.base}/home", "LC_ALL": "C.UTF-8", "TZ": "UTC",
			"GIT_OVERLAYFS_RUN_DIR": f"{self.base}/run",
			"GIT_OVERLAYFS_STATE_DIR": f"{self.base}/state",
			"TEST_UID": str(self.args.uid),
			"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": f"{self.base}/home/.gitconfig",
			"GIT_AUTHOR_NAME": "A U Thor", "GIT_AUTHOR_EMAIL": "author@example.com",
			"GIT_COMMITTER_NAME": "C O Mitter", "GIT_COMMITTER_EMAIL": "committer@example.com",
			"GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000",
		})
		with open(f"{self.base}/home/.gitconfig", "w", encoding="ascii") as f:
			f.write("[init]\n\tdefaultBranch = main\n[safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n")
		return env

	def reap(self):
		while True:
			try:
				pid, status = os.waitpid(-1, os.WNOHANG)
			except ChildProcessError:
				# All that descends from us is, or will be, a child of ours: nothing is left.
				self.is_childless = True
				return
			if pid == 0:
				self.is_childless = False
				return
			if pid == self.child:
				self.status = status

	def wait_until(self, done, seconds):
		pause, end = 0.002, time.monotonic() + seconds
		while True:
			self.reap()
			if done():
				return True
			if time.monotonic() >= end:
				return False
			time.sleep(pause)
			pause = min(pause * 1.5, 0.05)

	def describe_the_hanging(self):
		for pid, name in sorted(descendants().items()):
			try:
				with open(f"/proc/{pid}/wchan", encoding="ascii") as f:
					where = f.read()
				with open(f"/proc/{pid}/cmdline", "rb") as f:
					line = os.fsdecode(f.read().replace(b"\0", b" ").strip())
			except OSError:
				continue
			self.note(f"at the time-out: {name} ({pid}) in {where}: {line}")

	def run(self):
		args = self.args
		LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
		proc = subprocess.Popen(args.command, cwd=f"{self.base}/cwd", env=self.environment(),
			stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
			preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
		self.child = proc.pid
		proc.returncode = 0  # we reap it ourselves
		try:
			if not self.wait_until(lambda: self.status is not None, args.timeout):
				self.timed_out = True
				self.describe_the_hanging()
				try:
					os.killpg(self.child, signal.SIGTERM)
				except OSError:
					pass
				self.wait_until(lambda: self.status is not None, 2 * args.grace)
		except KeyboardInterrupt:
			self.problems.append("interrupted")
		self.end_processes()
		self.end_mounts()
		if self.args.is_isolated:
			self.check_records()
			self.check_fuse()
			remove_tree(self.user_records)
		for point in reversed(self.own_mounts):
			LIBC.umount2(os.fsencode(point), MNT_DETACH | UMOUNT_NOFOLLOW)
		if not remove_tree(self.base):
			self.problems.append(f"left files that cannot be removed: {self.base}")

	def end_processes(self):
		if self.status is not None and self.wait_until(lambda: self.is_childless, self.args.grace):
			return
		left = descendants()
		if self.status is not None:
			names = ", ".join(f"{name} ({pid})" for pid, name in sorted(left.items()))
			self.problems.append(f"left a process: {names}")
		for _ in range(20):
			for pid in left:
				signal_pid(pid, signal.SIGKILL)
			if self.wait_until(lambda: self.is_childless, 0.25):
				return
			self.end_mounts()  # what waits for a dead file system ends with it
			left = descendants()
		self.problems.append(f"processes that cannot be killed: {sorted(left.values())}")

	def end_mounts(self):
		after = mounts()
		new = {i: p for i, p in after.items() if i not in self.mounts}
		if not self.args.is_isolated:
			new = {i: p for i, p in new.items() if p.startswith(self.base + "/")}
		if new:
			self.problems.append("left a mount: " + ", ".join(sorted(new.values())))
		for point in sorted(new.values(), key=len, reverse=True):
			unmount(point)
		gone = [p for i, p in self.mounts.items() if i not in after]
		if gone and self.args.is_isolated:
			self.problems.append("took a mount away: " + ", ".join(sorted(gone)))

	def check_records(self):
		for path in sorted(records(self.record_dirs) - self.records):
			self.problems.append(f"left a workspace: {path}")

	def check_fuse(self):
		now = fuse_device()
		if now != self.fuse:
			self.problems.append(f"changed /dev/fuse from {self.fuse} to {now}")

	def verdict(self):
		reason = "; ".join(dict.fromkeys(self.problems))
		if self.timed_out:
			late = f"timed out after {self.args.timeout:g} s"
			return "FAIL", f"{late}; {reason}" if reason else late
		code = os.waitstatus_to_exitcode(self.status) if self.status is not None else -signal.SIGKILL
		if code < 0:
			killed = f"killed by {signal.Signals(-code).name}"
			return "FAIL", f"{killed}; {reason}" if reason else killed
		if code not in (0, SKIP):
			return "FAIL", f"exit {code}; {reason}" if reason else f"exit {code}"
		if reason:
			return "FAIL", reason
		if code == 0:
			return "ok", ""
		with open(self.args.log, "rb") as f:
			lines = [line for line in f.read().split(b"\n") if line.strip()]
		if not lines:
			return "FAIL", "skipped without a reason"
		return "skip", os.fsdecode(lines[-1]).strip()


def interrupt(_number, _frame):
	raise KeyboardInterrupt


def enter_pid_namespace():
	"""Goes on as its init, to which come all that lose their parent, and with which all end. Who
	called waits, and passes on what it is to do."""
	unshare(CLONE_NEWPID)
	child = os.fork()
	if child == 0:
		LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
		return
	signal.signal(signal.SIGINT, signal.SIG_IGN)
	signal.signal(signal.SIGTERM, lambda number, _frame: signal_pid(child, number))
	sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xff)


def main():
	parser = argparse.ArgumentParser(usage=__doc__)
	parser.add_argument("--timeout", type=float, default=120)
	parser.add_argument("--grace", type=float, default=2, help="seconds in which what ends may end")
	parser.add_argument("--mounts", choices=("all", "own"), default="all")
	parser.add_argument("--result", required=True)
	parser.add_argument("--log", required=True)
	parser.add_argument("command", nargs=argparse.REMAINDER)
	args = parser.parse_args()
	args.is_isolated = args.mounts == "all" and os.geteuid() == 0
	# By the PID that we have outside, which stays taken until the test has ended.
	args.uid = FIRST_UID + os.getpid()
	if args.is_isolated:
		enter_pid_namespace()
	signal.signal(signal.SIGTERM, interrupt)
	started = time.monotonic()
	guard = Guard(args)
	guard.run()
	status, reason = guard.verdict()
	with open(args.result, "w", encoding="utf-8", errors="surrogateescape") as f:
		f.write(f"{status}\t{time.monotonic() - started:.2f}\t{reason}\n")
	return 0 if status != "FAIL" else 1


if __name__ == "__main__":
	sys.exit(main())
