# SPDX-License-Identifier: GPL-2.0-or-later
"""The results as bars: how many times as fast each peer is as the row's base, on a logarithmic scale around 1.

The base is a native directory or the kernel's overlayfs, whichever the row's first target for it names. Marks
are the targets, those against other peers moved to where they are against the base.
"""
import math
from xml.sax.saxutils import escape

from lib.measure import speed

WIDTH, LEFT, RIGHT, TOP = 960, 150, 56, 104
BAR, GAP, BETWEEN = 9, 1, 12
LEAST, MOST = 0.01, 20
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
BASES = ("overlay", "native", "clone")
PEERS = {"overlay": "overlay", "fuse-overlayfs": "fuse", "worktree": "worktree", "ours": "ours", "plain": "plain", "collect": "collect", "opens": "opens", "ours-dir": "dir"}
STYLE = """
	svg { font: 12px system-ui, sans-serif }
	.paper { fill: #ffffff } text { fill: #1f2328 } .faint { fill: #59636e; font-size: 11px } .head { font-size: 15px; font-weight: 600 }
	.grid { stroke: #d1d9e0; stroke-width: 1 } .one { stroke: #1f2328; stroke-width: 1.5 } .target { stroke: #cf222e; stroke-width: 2.5 }
	.overlay { fill: #8c959f } .fuse { fill: #d4a72c } .worktree { fill: #b08ee0 }
	.ours { fill: #0969da } .plain { fill: #74b2f5 } .collect { fill: #3b8a3e } .opens { fill: #7f5af0 } .dir { fill: #2da88f }
	@media (prefers-color-scheme: dark) {
		.paper { fill: #0d1117 } text { fill: #e6edf3 } .faint { fill: #9198a1 }
		.grid { stroke: #30363d } .one { stroke: #e6edf3 } .target { stroke: #ff7b72 }
		.overlay { fill: #7d8590 } .fuse { fill: #bb8009 } .worktree { fill: #8957e5 }
		.ours { fill: #4493f8 } .plain { fill: #1f5fae } .collect { fill: #57ab5a } .opens { fill: #a48cf5 } .dir { fill: #2a9d8f }
	}"""


def base_of(line):
	named = [target["versus"] for target in line["targets"] if target["versus"] in BASES]
	return next((base for base in [*named, *BASES] if base in line["samples"]), None)


def place(ratio):
	"""Where a ratio is on the scale, in pixels."""
	ratio = min(max(ratio, LEAST), MOST)
	return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ratio / LEAST) / math.log(MOST / LEAST)


def bars_of(line, base):
	"""[(peer, ratio)] of those that are drawn"""
	wanted = {target["who"] for target in line["targets"]} | {"overlay", "fuse-overlayfs", "worktree", "ours", "plain", "collect", "opens"}
	bars = []
	for peer in PEERS:
		if peer in wanted and peer != base and line["samples"].get(peer):
			ratio = speed(line["unit"], line["samples"][peer], line["samples"][base])
			if ratio:
				bars.append((peer, ratio))
	return bars


def marks_of(line, base):
	"""{peer: [ratio]} of its targets"""
	marks = {}
	for target in line["targets"]:
		if not target["versus"] or not line["samples"].get(target["versus"]):
			continue
		other = 1 if target["versus"] == base else speed(line["unit"], line["samples"][target["versus"]], line["samples"][base])
		if other:
			marks.setdefault(target["who"], []).append(target["target"] * other)
	return marks


def text(x, y, what, css="", anchor="start"):
	return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(what)}</text>'


def group(y, name, line, base):
	"""(elements, the y below them)"""
	bars, marks = bars_of(line, base), marks_of(line, base)
	middle = y + len(bars) * (BAR + GAP) / 2
	out = [text(LEFT - 12, middle + 1, name, anchor="end"), text(LEFT - 12, middle + 13, f"to {base}", "faint", "end")]
	for peer, ratio in bars:
		a, b = sorted((place(1), place(ratio)))
		out.append(f'<rect x="{a:.1f}" y="{y}" width="{max(b - a, 1):.1f}" height="{BAR}" class="{PEERS[peer]}">'
			f"<title>{escape(peer)}: {ratio:.2f}</title></rect>")
		for mark in marks.get(peer, []):
			out.append(f'<line x1="{place(mark):.1f}" x2="{place(mark):.1f}" y1="{y - 1}" y2="{y + BAR + 1}" class="target"/>')
		out.append(text(WIDTH - 8, y + BAR - 1, f"{ratio:.2f}" if ratio < 9.95 else f"{ratio:.0f}", "faint", "end"))
		y += BAR + GAP
	return out, max(y, middle + 16) + BETWEEN


def legend():
	names = {"overlay": "kernel overlayfs", "fuse-overlayfs": "fuse-overlayfs", "worktree": "git worktree add", "ours": "git-overlayfs",
		"plain": "git-overlayfs, no passthrough", "collect": "git-overlayfs, writeback=auto", "opens": "git-overlayfs, opens=kernel", "ours-dir": "git-overlayfs over a checkout"}
	out, x, y = [text(16, 57, "red: a target", "faint")], LEFT, 40
	for peer, name in names.items():
		if x > WIDTH - 260:
			x, y = LEFT, y + 16
		out += [f'<rect x="{x}" y="{y}" width="10" height="10" class="{PEERS[peer]}"/>', text(x + 15, y + 9, name, "faint")]
		x += 220
	return out


def draw(results):
	body, y = [], TOP
	for row in results["rows"]:
		for name, line in row["lines"].items():
			base = base_of(line)
			if base and bars_of(line, base):
				elements, y = group(y, name, line, base)
				body += elements
	grid = []
	for tick in TICKS:
		css = "one" if tick == 1 else "grid"
		grid += [f'<line x1="{place(tick):.1f}" x2="{place(tick):.1f}" y1="{TOP - 8}" y2="{y}" class="{css}"/>',
			text(place(tick), TOP - 14, f"{tick:g} x", "faint", "middle")]
	machine = results["machine"]
	head = [text(16, 24, "How many times as fast as the base: to the right is faster", "head"), *legend(),
		text(16, y + 22, f"{machine['git-overlayfs']} at {machine['revision']}, Linux {machine['kernel']}, "
			f"{machine['processors']} processors, {machine['date']}", "faint")]
	return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 34:.0f}" width="{WIDTH}" height="{y + 34:.0f}">',
		f"<style>{STYLE}\n</style>", '<rect width="100%" height="100%" class="paper"/>', *grid, *body, *head, "</svg>", ""])
