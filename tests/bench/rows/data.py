# SPDX-License-Identifier: GPL-2.0-or-later
"""Contents of files of the upper, by passthrough and without it, and of files that come from git."""
from lib import command
from lib.registry import USUAL_PEERS, Line, collect, opens, ours, plain, ro, row

PEERS = (*USUAL_PEERS, "collect", "floor")
FILE_MIB = 128
COMMITS = 5000


def targets(passed_through, without):
	"""Ratios to the native directory; without passthrough it is never below fuse-overlayfs."""
	return [ours.over("native", passed_through), *(target for who in (plain, collect)
		for target in (who.over("native", without), who.over("fuse-overlayfs", 1)))]


def fill(bench, directory):
	command.run(bench.program, "fill", "data", str(bench.count(FILE_MIB)), cwd=directory)


@row("seq-read", f"reading a file of {FILE_MIB} MiB of the upper, 1 MiB at once, four times", unit="MiB/s", fresh="row",
	peers=PEERS, writes=True, upper=fill, targets=targets(0.95, 0.40))
def sequential_read(place):
	return place.rate("seqread", "data", "4")


@row("seq-write", f"writing a file of {FILE_MIB} MiB of the upper again, 1 MiB at once, twice", unit="MiB/s", fresh="row",
	peers=PEERS, writes=True, upper=fill, targets=targets(0.85, 0.25))
def sequential_write(place):
	return place.rate("seqwrite", "data", "2")


@row("rand-read", "reading blocks of 4 KiB of a file of the upper", peers=PEERS, writes=True, upper=fill, lines={
	"rand-read": Line(targets(0.85, 0.70), "1/s", f"100,000 random blocks of 4 KiB of {FILE_MIB} MiB of the upper that were read before"),
	"rand-read-cold": Line([], "1/s", "20,000 of them, from a file that was not read since the mount")})
def random_read(place):
	rates = place.operations("randread", "data", str(place.bench.count(20000)))
	return {"rand-read": rates["randread"], "rand-read-cold": rates["randread-cold"]}


@row("rand-write", f"writing 20,000 random blocks of 4 KiB of {FILE_MIB} MiB of the upper", unit="1/s", fresh="row", peers=PEERS, writes=True,
	upper=fill, targets=targets(0.80, 0.40))
def random_write(place):
	return place.rate("randwrite", "data", str(place.bench.count(20000)))


def commits(place, count, synchronous):
	"""A script for sqlite3: each INSERT is a transaction."""
	path = f"{place.home}/commits.sql"
	with open(path, "w", encoding="ascii") as f:
		f.write(f"PRAGMA journal_mode=WAL;\nPRAGMA synchronous={synchronous};\nDROP TABLE IF EXISTS t;\n")
		f.write("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT);\n")
		f.writelines(f"INSERT INTO t (text) VALUES ('{'row %d ' % i * 10}');\n" for i in range(count))
	return path


def commits_per_second(place, count, synchronous):
	seconds = place.time(f"sqlite3 database <'{commits(place, count, synchronous)}'", shell=True)
	return count / seconds


@row("sqlite-wal", f"{COMMITS:,} SQLite commits, WAL, synchronous=NORMAL", unit="1/s", peers=PEERS, writes=True, needs=("sqlite3",),
	targets=targets(0.85, 0.50))
def sqlite_wal(place):
	return commits_per_second(place, place.bench.count(COMMITS), "NORMAL")


@row("sqlite-wal-full", "300 SQLite commits, WAL, synchronous=FULL: each waits for the disk", unit="1/s", peers=PEERS, writes=True,
	needs=("sqlite3",), targets=targets(0.85, 0.50), level="default")
def sqlite_wal_full(place):
	return commits_per_second(place, place.bench.count(300), "FULL")


GIT_PEERS = ("native", "overlay", "fuse-overlayfs", "ours", "opens", "ro", "ours-dir", "floor")
FIRST = [ours.over("fuse-overlayfs", 0.7)]
AGAIN = [who.over("overlay", 0.9) for who in (ours, opens, ro)]
TAR = "tar -cf - {} | cat >/dev/null"
GREP = "grep -r a-string-that-nobody-wrote {}; test $? = 1"


def lines(name, what):
	return {f"{name}-cold": Line(FIRST, "s", f"{what}, first time after the mount"),
		f"{name}-again": Line(AGAIN, "s", f"{what}, second time")}


def declare(name, line, what, **more):
	"""A row of which each sample is the same work twice."""
	steps = tuple((f"{name}-{time}", lambda place: place.time(line, shell=True)) for time in ("cold", "again"))
	row(name, what, tree="linux", peers=GIT_PEERS, lines=lines(name, what), steps=steps, **more)(
		lambda place: {step: job(place) for step, job in steps})


declare("tar-part", TAR.format("fs"), "tar c of the kernel's fs")
declare("grep-part", GREP.format("fs"), "grep -r of the kernel's fs")
declare("tar", TAR.format("."), "tar c of the kernel tree", level="default", limit=300)
declare("grep", GREP.format("."), "grep -r of the kernel tree", level="default", limit=300)


@row("open", "open and close of 10,000 files that were read before", tree="linux", unit="1/s", fresh="row",
	peers=("native", "overlay", "fuse-overlayfs", "ours", "opens", "floor"))
def open_again(place):
	"""What a row costs that opens files whose content the kernel has: so many times this."""
	return place.rate("open", place.list_of(10000), "5")
