# SPDX-License-Identifier: GPL-2.0-or-later
# For tests: what the daemon of a mount takes up.
import json, os, subprocess

def mount(spec, target, *options):
    """Mounts, and returns the pid of the process that serves it."""
    os.makedirs(target, exist_ok=True)
    subprocess.run(["git-overlayfs", "mount", *options, spec, target], check=True)
    listed = subprocess.run(["git-overlayfs", "list", "--json"], check=True, capture_output=True)
    return next(w["daemon"] for w in json.loads(listed.stdout) if w["mountpoint"] == os.path.realpath(target))

def resident(pid):
    """Bytes."""
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def cpu(pid):
    """Seconds, user and system."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
