# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs rows: each round has one sample of each peer, in turn."""
import contextlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from lib import command, peers
from lib.registry import LESS
from lib.trees import SOURCE_DIR, Trees

LIMITS = {"quick": 0.3, "default": 1, "full": 2}  # of a row's limit
NEW_DISK = ("mkfs.ext4", "-q", "-F", "-N", "200000", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0")
GUARD = 4  # a job may take so many times the row's limit, then it is ended


class Bench:
	"""What rows have in common: where to work, what to run."""

	def __init__(self, args, say):
		self.build, self.before, self.say = args.build, args.before, say
		self.scale, self.limit = args.scale, LIMITS[args.level]
		self.extra_options = [args.options] if args.options else []
		self.program = f"{self.build}/tests/programs/bench-operations"
		self.trees = Trees(os.path.join(os.path.realpath(args.work), "test-data"), args.scale, say)
		self.scratch = tempfile.mkdtemp(prefix="run.", dir=args.work)
		self.numbers = itertools.count()
		self.job_timeout = None
		self.data_paths = {}  # {peer: how data of the upper goes}
		self.helps = {binary: command.output(binary, "mount", "--help") for binary in
			(f"{build}/src/cli/git-overlayfs" for build in (self.build, self.before) if build)}
		for name in ("RUN", "STATE"):
			os.environ[f"GIT_OVERLAYFS_{name}_DIR"] = f"{self.scratch}/{name.lower()}"
			os.mkdir(f"{self.scratch}/{name.lower()}")

	def new_directory(self):
		path = f"{self.scratch}/{next(self.numbers)}"
		os.mkdir(path)
		return path

	def count(self, number):
		"""The number, or less of it where --scale says so."""
		return max(int(number * self.scale), 2)

	def has_option(self, binary, option):
		"""Earlier builds lack some: they are measured as they are."""
		return f"  {option.split('=')[0]}=" in self.helps[binary]

	def open(self, peer, row, tree=None):
		return peers.PEERS[peer](peer, self, tree or self.trees.get(row.tree), row)

	@contextlib.contextmanager
	def file_system(self, megabytes, *mkfs):
		"""What is opened meanwhile lies on a file system of its own."""
		image, outside = f"{self.scratch}/image", self.scratch
		with open(image, "wb") as f:
			f.truncate(megabytes << 20)
		command.run(*mkfs, image)
		self.scratch = f"{outside}/loop"
		os.mkdir(self.scratch)
		command.run("mount", "-o", "loop", image, self.scratch)
		try:
			yield self.scratch
		finally:
			unmount_when_free(self.scratch)
			os.rmdir(self.scratch)
			os.unlink(image)
			self.scratch = outside

	def end(self):
		command.run("rm", "-rf", "--one-file-system", self.scratch)


def unmount_when_free(path):
	"""A server that has been unmounted may take a moment to let go of its upper."""
	for _ in range(100):
		if subprocess.run(["umount", path], stderr=subprocess.DEVNULL, check=False).returncode == 0:
			return
		time.sleep(0.05)
	command.run("umount", path)


def run_row(bench, row, wanted_peers, rounds):
	"""A dict for the JSON file."""
	bench.job_timeout, limit = row.limit * GUARD, row.limit * bench.limit
	names = [name for name in row.peers if not wanted_peers or name in wanted_peers]
	if not row.custom and bench.before and "ours" in names and "before" not in names:
		names.append("before")
	result = {"name": row.name, "work": row.work, "cold": row.fresh == "round", "seconds": 0, "absent": {},
		"lines": {name: {"work": line.work, "unit": line.unit, "samples": {}} for name, line in row.lines.items()}}
	names = [name for name in names if is_there(bench, row, name, result)]
	try:
		tree = bench.trees.get(row.tree)
		has_checkout = any(peers.PEERS[name].has_checkout for name in names)
		if has_checkout:
			assert tree.checkout
		if row.fresh == "round" and names and not row.custom:
			bench.say(f"{row.name}: reading what is below, for every peer alike")
			tree.read_all(has_checkout)
	except (command.Failed, OSError, subprocess.SubprocessError) as e:
		result["absent"] |= {name: str(e) for name in names}
		names = []
	with contextlib.ExitStack() as stack:
		measure = samplers(bench, row, names, stack, result)
		started = time.monotonic()
		for number in range(min(rounds, row.rounds or rounds)):
			round_started = time.monotonic()
			for name in [name for name in turned(names, number) if name not in result["absent"]]:
				sample_one(bench, row, number, name, measure, result)
			now = time.monotonic()
			if now - started + (now - round_started) > limit:
				break
		result["seconds"] = time.monotonic() - started
	finish(row, result)
	return result


def turned(names, number):
	"""Each round begins with another one, so that nobody is always first."""
	first = number % len(names) if names else 0
	return names[first:] + names[:first]


def is_there(bench, row, name, result):
	needs = (*row.needs, *(NEW_DISK[:1] if row.own_disk else ()))
	missing = [program for program in needs if not shutil.which(program)]
	reason = f"needs {', '.join(missing)}" if missing else peers.why_not(name, bench)
	if reason:
		result["absent"][name] = reason
	return not reason


def sample_one(bench, row, number, name, measure, result):
	bench.say(f"{row.name}: round {number + 1}, {name}")
	try:
		sample = measure[name]()
	except (command.Failed, OSError, subprocess.SubprocessError) as e:
		bench.say(f"{row.name}: {name}: {e}")
		result["absent"][name] = f"failed: {e}"
		return
	if not isinstance(sample, dict):
		sample = {next(iter(row.lines)): sample}
	for line, value in sample.items():
		if line in result["lines"] and value is not None:
			result["lines"][line]["samples"].setdefault(name, []).append(value)


def samplers(bench, row, names, stack, result):
	"""{peer: a function that returns one sample}"""
	if row.custom:
		return {name: lambda name=name: row.job(bench, row, name) for name in names}
	if row.fresh == "round":
		return {name: lambda name=name: fresh_sample(bench, row, name) for name in names}
	measure = {}
	for name in names:
		try:
			place = stack.enter_context(contextlib.closing(bench.open(name, row)))
			if row.before:
				row.before(place)
			bench.say(f"{row.name}: warming {name}")
			row.job(place)
			measure[name] = lambda place=place: row.job(place)
		except (command.Failed, OSError) as e:
			result["absent"][name] = f"failed: {e}"
	return measure


def fresh_sample(bench, row, name):
	disk = bench.file_system(2048, *NEW_DISK) if row.own_disk else contextlib.nullcontext()
	with disk, contextlib.closing(bench.open(name, row)) as place:
		if row.before:
			row.before(place)
		return row.job(place)


def speeds(unit, who, versus):
	"""How many times as fast in each round, in which the two were neighbours."""
	return [b / a if unit in LESS else a / b for a, b in zip(who, versus) if a and b]


def speed(unit, who, versus):
	"""The median over the rounds."""
	found = speeds(unit, who, versus)
	return statistics.median(found) if found else None


def finish(row, result):
	"""Medians, ratios and verdicts, from the samples."""
	for name, line in result["lines"].items():
		unit, samples = line["unit"], line["samples"]
		line["medians"] = {peer: statistics.median(values) for peer, values in samples.items()}
		line["targets"] = [verdict(unit, samples, target) for target in row.lines[name].targets]


def verdict(unit, samples, target):
	said = {"who": target.who, "versus": target.versus, "target": target.value, "at_most": target.at_most,
		"value": None, "met": None}
	if target.who not in samples or (target.versus and target.versus not in samples):
		return said
	if target.versus:
		said["value"] = speed(unit, samples[target.who], samples[target.versus])
	else:
		said["value"] = statistics.median(samples[target.who])
	if said["value"] is not None:
		said["met"] = said["value"] <= target.value if target.at_most else said["value"] >= target.value
	return said


def machine(bench):
	def said(*args, line=""):
		try:
			return next(text for text in command.output(*args).splitlines() if line in text)
		except (OSError, command.Failed, StopIteration):
			return None
	with open("/proc/cpuinfo", encoding="utf-8") as f:
		cpu = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), os.uname().machine)
	with open("/proc/meminfo", encoding="ascii") as f:
		memory = int(next(line.split()[1] for line in f if line.startswith("MemTotal:"))) // 2**20
	status = said("git", "-C", SOURCE_DIR, "status", "--porcelain", "--untracked-files=no")
	return {"processor": cpu, "processors": os.cpu_count(), "memory_GiB": memory, "kernel": os.uname().release,
		"file_system": said("findmnt", "-no", "FSTYPE", "-T", bench.scratch),
		"git-overlayfs": said(f"{bench.build}/src/cli/git-overlayfs", "--version"),
		"revision": (said("git", "-C", SOURCE_DIR, "rev-parse", "--short=12", "HEAD") or "none") + ("+" if status else ""),
		"build": build_type(bench.build),
		"fuse-overlayfs": said("fuse-overlayfs", "--version", line="fuse-overlayfs"),
		"git": said("git", "--version"), "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
		"load": list(os.getloadavg())}


def build_type(build):
	try:
		said = command.output("meson", "introspect", "--buildoptions", build)
	except (OSError, command.Failed):
		return None
	return next((option["value"] for option in json.loads(said) if option["name"] == "buildtype"), None)
