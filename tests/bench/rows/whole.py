# SPDX-License-Identifier: GPL-2.0-or-later
"""Work as a whole: a workspace, a build, many clients, and what it all takes."""
import contextlib
import concurrent.futures
import os
import statistics
import time

from lib import command, trees
from lib.registry import Line, Who, opens, ours, row

WORKSPACES = 200
FORGET_SECONDS, FORGET_TURNS = 120, 6
IDLE_SECONDS = 10
ours_dir = Who("ours-dir")


@row("machine", "what the machine takes for the steps of it all", peers=("native",), rounds=1, lines={
	"machine-call": Line([], "1/s", "system calls that do nothing"),
	"machine-turn": Line([], "1/s", "turns of two processes on one processor: a byte there, and one back"),
	"machine-wake": Line([], "1/s", "the same on two processors"),
	"machine-fault": Line([], "1/s", "first touches of a page"),
	"machine-start": Line([], "1/s", "starts of a program")})
def machine(place):
	rates = place.operations("machine")
	return {f"machine-{verb}": rate for verb, rate in rates.items()}


@row("ready-1000", "from the command to a workspace of 1,000 files", tree="many:1000", peers=("clone", "worktree", "ours"),
	targets=[ours.at_most(0.030)])
def ready_thousand(place):
	return place.opened_in


@row("ready-linux", "from the command to a workspace of the kernel tree", tree="linux", peers=("ours",),
	targets=[ours.at_most(0.030)])
def ready_linux(place):
	return place.opened_in


@row("checkout-linux", "the same, against what people do today", tree="linux", peers=("clone", "worktree", "ours"), rounds=1,
	level="default", limit=400, lines={
		"checkout-linux": Line([], "s", "the same, against what people do today"),
		"checkout-linux-disk": Line([], "MiB", "what it takes on the disk")})
def checkout_linux(place):
	kibibytes = int(command.output("du", "-skx", place.home).split()[0])
	return {"checkout-linux": place.opened_in, "checkout-linux-disk": kibibytes / 1024}


@row("ready-million", "from the command to a workspace of 1,000,000 files", peers=("ours",), level="full", limit=600, custom=True,
	lines={"ready-million": Line([ours.at_most(0.030)], "s"),
		"ready-growth": Line([ours.at_most(1.2)], "x", "the same, as a multiple of what 1,000 files take")})
def ready_million(bench, row_, peer):
	times = {"many:1000": [], "many": []}
	for _ in range(5):
		for tree, samples in times.items():
			with contextlib.closing(bench.open(peer, row_, bench.trees.get(tree))) as place:
				samples.append(place.opened_in)
	million = statistics.median(times["many"])
	return {"ready-million": million, "ready-growth": million / statistics.median(times["many:1000"])}


@row("find-million", "find with stat of 1,000,000 files, first time after the mount", tree="many", level="full", limit=600,
	peers=("native", "overlay", "fuse-overlayfs", "ours", "floor"), rounds=3,
	targets=[ours.over("fuse-overlayfs", 3), ours.over("overlay", 0.5)])
def find_million(place):
	return place.time("find", ".", "-size", "+1000000k")


MAKE = "make -s tinyconfig >/dev/null 2>&1 && make -s -j2 lib/"


@row("build", "make tinyconfig and make -j2 of the kernel's lib", tree="linux", level="default", limit=400, writes=True, settle=True,
	peers=("clone", "overlay", "fuse-overlayfs", "ours", "plain", "opens", "floor"), needs=("make", "flex", "bison", "bc"), lines={
		"build": Line([who.over("clone", round(1 / 1.10, 2)) for who in (ours, opens)], "s",
			"make tinyconfig and make -j2 of the kernel's lib; the clone is a native directory"),
		"workspace-build": Line([ours.over("clone", 1)], "s", "the same, and what it takes to get the tree")})
def build(place):
	seconds = place.time(MAKE, shell=True)
	whole = seconds + place.opened_in if place.peer in ("clone", "ours", "plain", "opens") else None
	return {"build": seconds, "workspace-build": whole}


CLIENTS = (1, 2, 4, 8)


def client_lines():
	lines = {}
	for verb, work in (("read", "open, read and close of files of git"), ("create", "create and unlink")):
		for count in CLIENTS:
			lines[f"{verb}-by-{count}"] = Line([], "1/s", f"{work}, {count} at once")
		lines[f"{verb}-scaling"] = Line([ours.at_least(1)], "times",
			f"{work}: the least of 2, 4 and 8 at once, as a multiple of one")
		lines[f"{verb}-steps"] = Line([ours.over("overlay", 0.9)], "times",
			f"{work}: the least of 2, 4 and 8 at once, as a multiple of the most with fewer")
	return lines


@row("clients", "clients at once", tree="linux", fresh="row", peers=("overlay", "fuse-overlayfs", "ours", "floor"), level="default",
	writes=True, settle=True, lines=client_lines())
def clients(place):
	paths, sample = place.list_of(2000), {}
	for count in CLIENTS:
		rates = place.operations("clients", paths, str(count), "500")
		sample |= {f"{verb}-by-{count}": rate for verb, rate in rates.items()}
	for verb in ("read", "create"):
		rates = [sample[f"{verb}-by-{count}"] for count in CLIENTS]
		sample[f"{verb}-scaling"] = min(rates[1:]) / rates[0]
		sample[f"{verb}-steps"] = min(rates[i] / max(rates[:i]) for i in range(1, len(rates)))
	return sample


def proportional(place, kind="Pss:"):
	"""The memory of those that serve it, in bytes, what is shared divided among those who share."""
	total = 0
	for pid in place.processes():
		with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
			total += sum(int(line.split()[1]) << 10 for line in f if line.startswith(kind))
	return total


def at_rest(place, kind="Pss:"):
	"""The same when it changes no more."""
	last, end = 0, time.monotonic() + 10
	while time.monotonic() < end:
		time.sleep(0.5)
		now = proportional(place, kind)
		if now == last:
			break
		last = now
	return now


def forget_turn(place):
	"""The kernel knows all, then nothing: names and inodes go, what it knows of contents stays. What is left then."""
	place.time("find", ".", "-size", "+1000000k")
	with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
		f.write("2\n")
	return at_rest(place)


def growth_of_turn(place):
	"""What the first turns leave is what the next ones find, in caches that fill: so of later ones, thirds against each other."""
	end, turns = time.monotonic() + FORGET_SECONDS, []
	while len(turns) < FORGET_TURNS or time.monotonic() < end:
		turns.append(forget_turn(place))
	third = len(turns) // 3
	return (statistics.median(turns[-third:]) - statistics.median(turns[-2 * third:-third])) / third


@row("memory", "what the processes of a workspace take at rest (PSS)", tree="linux", peers=("fuse-overlayfs", "ours"), rounds=1,
	level="default", limit=120, lines={
		"memory-idle": Line([ours.at_most(3)], "MiB", "processes of an idle workspace (PSS)"),
		"memory-find": Line([ours.at_most(20)], "MiB", "after find over the kernel tree"),
		"memory-find-own": Line([], "MiB", "of it not pages of files, such as the repository's packs"),
		"memory-forgotten": Line([ours.at_most(0)], "B", "what each inode leaves behind that the kernel has forgotten")})
def memory(place):
	sample = {"memory-idle": at_rest(place) / 2**20}
	place.time("find", ".", "-size", "+1000000k")
	sample["memory-find"] = at_rest(place) / 2**20
	sample["memory-find-own"] = proportional(place, "Pss_Anon:") / 2**20
	files = int(command.output("sh", "-c", "find . | wc -l", cwd=place.path))
	sample["memory-forgotten"] = max(round(growth_of_turn(place) / files), 0)
	return sample


def cpu_seconds(pids):
	ticks = 0
	for pid in pids:
		with open(f"/proc/{pid}/stat", encoding="ascii") as f:
			fields = f.read().rsplit(")", 1)[1].split()
		ticks += int(fields[11]) + int(fields[12])
	return ticks / os.sysconf("SC_CLK_TCK")


@row("workspaces", f"{WORKSPACES} workspaces of one commit", tree="linux", peers=("overlay", "fuse-overlayfs", "ours"), rounds=1,
	level="default", limit=120, custom=True, lines={
		"mounts": Line([ours.at_least(40)], "1/s", f"{WORKSPACES} mounts of one commit, two at once"),
		"mounts-idle": Line([ours.at_most(0.5)], "%", f"processor time of all {WORKSPACES} when nobody asks for anything"),
		"mounts-memory": Line([], "MiB", f"memory of the processes of one of the {WORKSPACES} (PSS)")})
def workspaces(bench, row_, peer):
	tree = bench.trees.get(row_.tree)
	count = bench.count(WORKSPACES)
	with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(2) as pool:
		started = time.perf_counter()
		places = list(pool.map(lambda _: bench.open(peer, row_, tree), range(count)))
		sample = {"mounts": count / (time.perf_counter() - started)}
		for place in places:
			stack.enter_context(contextlib.closing(place))
		if peer == "overlay":
			return sample
		pids = [pid for place in places for pid in place.processes()]
		sample["mounts-memory"] = proportional(places[0]) / 2**20
		before = cpu_seconds(pids)
		time.sleep(IDLE_SECONDS)
		sample["mounts-idle"] = (cpu_seconds(pids) - before) / IDLE_SECONDS * 100
	return sample


APPEND = "printf x >>data"


@row("copy-up", "the first byte written to a file of 256 MiB, nobody waits for the disk; natively: cp of it", tree="large",
	volatile=True, peers=("native", "overlay", "fuse-overlayfs", "ours-dir", "ours"), level="default", limit=90, lines={
		"copy-up": Line([who.over("native", 0.9) for who in (ours_dir, ours)], "s", "the first byte written to a lower file of 256 MiB (volatile); natively: cp of it"),
	})
def copy_up(place):
	if place.peer == "native":
		return place.time("cp --reflink=never data ../copy && printf x >>../copy", shell=True)
	return place.time(APPEND, shell=True)


@row("copy-up-reflink", "the same on XFS, which can share blocks", volatile=True, level="default", needs=("mkfs.xfs",), rounds=3,
	custom=True, peers=("native", "overlay", "fuse-overlayfs", "ours-dir", "ours"), lines={
		"copy-up-reflink": Line([], "s", "the first byte written to a lower file of 256 MiB on XFS; natively: cp --reflink"),
		"copy-up-growth": Line([who.at_most(2) for who in (ours_dir, ours)], "x", "the same, as a multiple of what 16 MiB take")})
def copy_up_reflink(bench, row_, peer):
	with bench.file_system(1024, "mkfs.xfs", "-q", "-m", "reflink=1") as top:
		seconds = {}
		for megabytes in (256, 16):
			lower = f"{top}/lower-{megabytes}"
			os.mkdir(lower)
			command.run(bench.program, "fill", "data", str(megabytes), cwd=lower)
			repository = f"{top}/repository-{megabytes}"
			if peer == "ours":
				with open(f"{lower}/data", "rb") as f:
					trees.import_files(repository, [("data", f.read())])
			command.run("sync", "-f", lower)
			tree = trees.Tree(f"large-{megabytes}", repository, lambda lower=lower: lower)
			with contextlib.closing(bench.open(peer, row_, tree)) as place:
				line = "cp --reflink=always data ../copy && printf x >>../copy" if peer == "native" else APPEND
				seconds[megabytes] = place.time(line, shell=True)
	return {"copy-up-reflink": seconds[256], "copy-up-growth": seconds[256] / seconds[16]}
