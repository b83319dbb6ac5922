# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and attributes: what is cached, what is not, and what changes them."""
from lib import command
from lib.registry import Line, ours, row

LOWER_PEERS = ("native", "overlay", "fuse-overlayfs", "ours", "ours-dir")
COLD_PEERS = (*LOWER_PEERS, "floor")
CHANGE_PEERS = ("native", "overlay", "fuse-overlayfs", "ours", "floor")
WALK = ("find", ".", "-size", "+1000000k")
WARM = [ours.over("overlay", 0.9)]
CHANGE = [ours.over("fuse-overlayfs", 4), ours.over("overlay", 0.5)]
REMOVE = [ours.over("fuse-overlayfs", 4), ours.over("overlay", 0.6)]


@row("find-warm", "find with stat of the kernel tree, again", tree="linux", fresh="row", peers=LOWER_PEERS, targets=WARM)
def find_warm(place):
	return place.time(*WALK)


@row("ls-warm", "ls -lR of the kernel tree's drivers, again", tree="linux", fresh="row", peers=LOWER_PEERS, targets=WARM)
def ls_warm(place):
	return place.time("ls", "-lR", "drivers")


@row("lookup-warm", "stat of 10,000 files, and of 10,000 names that are not there, again", tree="linux", fresh="row",
	peers=LOWER_PEERS, lines={"stat-warm": Line(WARM, "1/s", "stat of 10,000 paths, again"),
		"negative-warm": Line(WARM, "1/s", "stat of 10,000 names that are not there, again")})
def lookup_warm(place):
	rates = place.operations("stat", place.list_of(10000), "10")
	return {"stat-warm": rates["stat"], "negative-warm": rates["negative"]}


@row("find-cold", "find with stat of the kernel tree, first time after the mount", tree="linux", peers=COLD_PEERS,
	targets=[ours.over("fuse-overlayfs", 3), ours.over("overlay", 0.5)])
def find_cold(place):
	return place.time(*WALK)


@row("lookup-cold", "stat of 10,000 files, and of 10,000 names that are not there, first time after the mount",
	tree="linux", peers=COLD_PEERS, lines={
		"stat-cold": Line([], "1/s", "stat of 10,000 paths, first time after the mount"),
		"negative-cold": Line([], "1/s", "stat of 10,000 names that are not there, first time after the mount")})
def lookup_cold(place):
	rates = place.operations("stat", place.list_of(10000), "1")
	return {"stat-cold": rates["stat"], "negative-cold": rates["negative"]}


def tar_of_small(place):
	tree = place.bench.trees.get("small")
	path = f"{place.home}/small.tar"
	command.run("tar", "-cf", path, "-C", tree.checkout, ".")
	return path


@row("untar", "tar x of 20,000 small files", before=lambda place: setattr(place, "tar", tar_of_small(place)),
	writes=True, own_disk=True, peers=CHANGE_PEERS, targets=CHANGE, limit=90)
def untar(place):
	return place.time("tar", "-xf", place.tar)


@row("cp", "cp -a of 20,000 small files within the tree", tree="small", writes=True, own_disk=True, peers=CHANGE_PEERS, targets=CHANGE, level="default",
	limit=120)
def copy(place):
	return place.time("mkdir new && cp -a remove chown new", shell=True)


@row("loops", "creating, renaming and removing 5,000 files, making and removing 5,000 directories, in one directory",
	writes=True, own_disk=True, peers=CHANGE_PEERS, lines={
		"create": Line(CHANGE, "1/s", "open(O_CREAT) and close of 5,000 files"),
		"rename": Line(CHANGE, "1/s", "rename of 5,000 files"),
		"unlink": Line(CHANGE, "1/s", "unlink of 5,000 files"),
		"mkdir": Line(CHANGE, "1/s", "mkdir of 5,000 directories"),
		"rmdir": Line([], "1/s", "rmdir of 5,000 directories")})
def loops(place):
	return place.operations("loops", str(place.bench.count(5000)))


@row("rm-lower", "rm -rf of 15,000 lower files", tree="small", writes=True, own_disk=True, peers=CHANGE_PEERS, targets=REMOVE, limit=120)
def remove_lower(place):
	return place.time("rm", "-rf", "remove")


@row("chown-lower", "chown -R of 5,000 lower files", tree="small", writes=True, own_disk=True, peers=CHANGE_PEERS, targets=REMOVE, limit=120)
def chown_lower(place):
	return place.time("chown", "-R", "1234:1234", "chown")


@row("chown-volatile", "chown -R of 5,000 lower files, nobody waits for the disk (volatile)", tree="small", writes=True, own_disk=True, peers=CHANGE_PEERS,
	volatile=True, targets=REMOVE, limit=120)
def chown_volatile(place):
	return place.time("chown", "-R", "1234:1234", "chown")


@row("rm-upper", "rm -rf of 15,000 files of the upper", before=lambda place: place.time("tar", "-xf", tar_of_small(place)),
	writes=True, own_disk=True, peers=CHANGE_PEERS, level="default", limit=120)
def remove_upper(place):
	return place.time("rm", "-rf", "remove")
