# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon does in a row: its requests, its system calls, its time, and where that goes.

A job runs three times, each on a new place: alone, with strace counting, and with perf looking on. What is measured warm is
done once before.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from lib import command, measure

BEGIN, END = "<!-- profile: begin -->\n", "<!-- profile: end -->\n"
TICK = os.sysconf("SC_CLK_TCK")
SHOWN = 5
# How requests come and go, and how servers wait: not what they do.
TRANSPORT = {"read", "write", "writev", "poll", "futex", "getrusage", "sched_setaffinity"}


def daemon_of(place):
	"""The process of those that serve the place that has most threads."""
	return max(place.processes(), key=lambda pid: len(os.listdir(f"/proc/{pid}/task")))


def seconds(pid):
	with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
		fields = f.read().rpartition(")")[2].split()
	return int(fields[11]) / TICK, int(fields[12]) / TICK


def requests(bench, place):
	said = command.output(f"{bench.build}/src/cli/git-overlayfs", "stats", "--json", place.path)
	return json.loads(said)[0]["requests"]


def alone(bench, job, place, _kept):
	pid = daemon_of(place)
	before, counted = seconds(pid), requests(bench, place)
	started = time.perf_counter()
	job(place)
	took = time.perf_counter() - started
	after, now = seconds(pid), requests(bench, place)
	return {"seconds": took, "user": after[0] - before[0], "system": after[1] - before[1],
		"requests": {name: count - counted.get(name, 0) for name, count in now.items()
			if count > counted.get(name, 0) and name != "total"}}


@contextlib.contextmanager
def watched(*args):
	"""While something looks on."""
	with subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as watcher:
		time.sleep(0.5)
		try:
			yield
		finally:
			watcher.send_signal(signal.SIGINT)


def calls(_bench, job, place, kept):
	path = f"{kept}/strace"
	with watched("strace", "-c", "-f", "-o", path, "-p", str(daemon_of(place))):
		job(place)
	with open(path, encoding="utf-8") as f:
		found = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", f.read(), re.MULTILINE)
	return {"calls": {name: int(count) for count, name in found if name not in TRANSPORT and name != "total"}}


def samples(_bench, job, place, kept):
	with watched("perf", "record", "-q", "-e", "cpu-clock", "-o", f"{kept}/perf", "-p", str(daemon_of(place))):
		job(place)
	return {}


def functions(kept):
	"""When the daemon has ended: perf looks for names in the namespace of one that runs, which has no files."""
	said = command.output("perf", "report", "-i", f"{kept}/perf", "--stdio", "-q", "--sort", "dso,sym")
	found = re.findall(r"^ *([\d.]+)% +(\S+) +\[(.)\] +(.+?) *$", said, re.MULTILINE)
	return {"kernel": sum(float(share) for share, _, kind, _ in found if kind == "k"),
		"functions": {name: float(share) for share, _, kind, name in found if kind != "k" and not name.startswith("0x")}}


def profile(bench, row, peer):
	"""One for each step of the row."""
	bench.job_timeout = 600
	steps = row.steps or ((row.name, row.job),)
	found = {name: {"name": name if peer == "ours" else f"{name} ({peer})"} for name, _ in steps}
	for look in (alone, calls, samples):
		tool = {calls: "strace", samples: "perf"}.get(look)
		if not tool or shutil.which(tool):
			look_at(bench, row, peer, look, steps, found)
	return list(found.values())


def look_at(bench, row, peer, look, steps, found):
	disk = bench.file_system(2048, *measure.NEW_DISK) if row.own_disk else contextlib.nullcontext()
	with contextlib.ExitStack() as stack:
		kept = {name: stack.enter_context(tempfile.TemporaryDirectory()) for name, _ in steps}
		with disk, contextlib.closing(bench.open(peer, row)) as place:
			if row.before:
				row.before(place)
			if row.fresh == "row":
				row.job(place)
			for name, job in steps:
				found[name] |= look(bench, job, place, kept[name])
		if look is samples:
			for name, _ in steps:
				found[name] |= functions(kept[name])


def most(counts, form):
	ordered = sorted(counts.items(), key=lambda item: -item[1])
	return ", ".join(form(name, value) for name, value in ordered[:SHOWN]) or "none"


def line(found):
	total = sum(found["requests"].values())
	each = f"{found['seconds'] / total * 1e6:.0f} µs" if total else ""
	return (f"| {found['name']} | {found['seconds']:.2f} s | {total:,} | {each} | {found['user']:.2f} + {found['system']:.2f} s | "
		f"{most(found['requests'], lambda name, count: f'{name} {count:,}')} | "
		f"{most(found.get('calls', {}), lambda name, count: f'{name} {count:,}')} | "
		f"kernel {found.get('kernel', 0):.0f} %, {most(found.get('functions', {}), lambda name, share: f'{name} {share:.1f} %')} |")


def document(profiles):
	return "\n".join([BEGIN, "| row | took | requests | each | daemon: user + system | requests of most | system calls of most | its time (perf) |",
		"|---|---:|---:|---:|---:|---|---|---|", *map(line, profiles), "", END])
