# SPDX-License-Identifier: GPL-2.0-or-later
"""What a row is, and how one is declared: see tests/bench/rows/metadata.py for examples.

	@row("find-warm", "`find` with stat", tree="linux", fresh="row", targets=[ours.over("overlay", 0.9)])
	def find_warm(place):
		return place.time("find", ".", "-size", "+1000000k")

The function is the job of one peer in one round: what it returns is the sample, in `unit` ("s": less is better;
others, such as "1/s" or "MiB/s": more is). A row with `lines` returns {line: sample}. `before` prepares a place, `upper` the
directory where changes go, before the mount; both untimed.
fresh="round": a new mount with a new upper for each round: nothing is cached in it (the host's page cache is warm, for every
peer: what is below is read before the first round).
fresh="row": one mount for all rounds, and the job is done once before the first: warm.
"""
import dataclasses
from typing import Callable, Optional

LEVELS = ("quick", "default", "full")
USUAL_PEERS = ("native", "overlay", "fuse-overlayfs", "ours", "plain")
# Units of which less is better; "s" are times, the others are compared as they are.
LESS = ("s", "ms", "MiB", "KiB", "B", "%", "x")


@dataclasses.dataclass(frozen=True)
class Target:
	"""With `versus`: `who` is at least `value` times as fast as that peer. Without: its value meets the bound."""
	who: str
	value: float
	versus: Optional[str] = None
	at_most: bool = False


class Who:
	def __init__(self, name):
		self.name = name

	def over(self, versus, value):
		return Target(self.name, value, versus)

	def at_most(self, value):
		return Target(self.name, value, at_most=True)

	def at_least(self, value):
		return Target(self.name, value)


ours, plain, collect, opens, ro = (Who(name) for name in ("ours", "plain", "collect", "opens", "ro"))


@dataclasses.dataclass
class Line:
	targets: list = dataclasses.field(default_factory=list)
	unit: str = "s"
	work: str = ""


@dataclasses.dataclass
class Row:
	name: str
	work: str
	job: Callable
	tree: str = "one"
	peers: tuple = USUAL_PEERS
	fresh: str = "round"
	writes: bool = False  # native gets a copy of the tree, not the checkout
	settle: bool = False  # what opening a place has written is on the disk before the job
	own_disk: bool = False  # a new ext4 for each sample: what was removed within the last minutes slows the next creations down
	volatile: bool = False  # all mounts with this option: as fuse-overlayfs, nobody waits for the disk at a copy-up
	before: Optional[Callable] = None
	upper: Optional[Callable] = None  # (bench, directory): what is in the upper before the mount
	lines: dict = dataclasses.field(default_factory=dict)
	level: str = "quick"  # the first level at which it runs without being named
	rounds: Optional[int] = None  # at most so many
	limit: float = 60  # seconds for all its rounds; the first is always finished
	needs: tuple = ()  # programs
	steps: tuple = ()  # (name, job): what the job consists of, each a line of --profile
	custom: bool = False  # job(bench, row, peer): it opens its own places, with bench.open(peer, row, tree)


ROWS = {}


def row(name, work, *, unit="s", targets=(), lines=None, **more):
	def declare(job):
		if name in ROWS:
			raise ValueError(f"two rows {name}")
		these = lines or {name: Line(list(targets), unit)}
		for line in these.values():
			line.work = line.work or work
		ROWS[name] = Row(name, work, job, lines=these, **more)
		return job
	return declare
