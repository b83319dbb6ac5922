#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""draw.py <PICTURE.txt >PICTURE.svg: a picture from lines of text.

	box NAME COLUMN ROW WIDTH HEIGHT TITLE | LINE | ...     units of a grid; a box that holds others comes before them
	link FROM TO LABEL | LINE                               an arrow from box to box
	actor NAME TITLE                                        a column of a sequence
	send FROM TO TEXT                                       an arrow of the sequence, one a row; to itself: what it does
	title TEXT, and # for a comment
"""
import sys
from xml.sax.saxutils import escape

CELL, ROW, ACTOR, STEP, MARGIN = 100, 30, 190, 36, 20
STYLE = """<style>text { font: 13px sans-serif; fill: #222 } .small { font-size: 11.5px; fill: #444 } .head { font-weight: bold }
rect { fill: #f4f6f8; stroke: #667; rx: 5px } .page { fill: white; stroke: none } line, path { stroke: #345; fill: none; stroke-width: 1.3 }
.life { stroke: #bbc; stroke-dasharray: 4 4 } marker path { fill: #345 }</style>
<defs><marker id="tip" markerWidth="9" markerHeight="7" refX="8" refY="3.5" orient="auto"><path d="M0 0 9 3.5 0 7z"/></marker></defs>"""


def words(x, y, text, kind="", anchor="start"):
	return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text.strip())}</text>'


def arrow(x1, y1, x2, y2):
	return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" marker-end="url(#tip)"/>'


def boxes(lines):
	"""Elements, width and height of the boxes and links."""
	places, out, right, bottom = {}, [], 0, 0
	for line in lines:
		if line[0] == "box":
			x, y, w, h = (float(n) * unit for n, unit in zip(line[2:6], (CELL, ROW, CELL, ROW)))
			x, y = x + MARGIN, y + 2 * MARGIN
			places[line[1]] = x, y, w, h
			right, bottom = max(right, x + w), max(bottom, y + h)
			out.append(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}"/>')
			for number, text in enumerate(" ".join(line[6:]).split("|")):
				out.append(words(x + 9, y + 19 + 16 * number, text, "small" if number else "head"))
		elif line[0] == "link":
			(x1, y1, w1, h1), (x2, y2, w2, h2) = places[line[1]], places[line[2]]
			if x1 + w1 <= x2 or x2 + w2 <= x1:  # side by side: at the height that both have
				y = (max(y1, y2) + min(y1 + h1, y2 + h2)) / 2
				ends = (x1 + w1, y, x2, y) if x1 < x2 else (x1, y, x2 + w2, y)
			else:
				x = (max(x1, x2) + min(x1 + w1, x2 + w2)) / 2
				ends = (x, y1 + h1, x, y2) if y1 < y2 else (x, y1, x, y2 + h2)
			out.append(arrow(*ends))
			aside = ends[0] == ends[2]
			for number, text in enumerate(" ".join(line[3:]).split("|")):
				middle = (ends[0] + ends[2]) / 2, (ends[1] + ends[3]) / 2
				out.append(words(middle[0] + 7 * aside, middle[1] + (4 if aside else -6) + 14 * number, text, "small",
					"start" if aside else "middle"))
	return out, right + MARGIN, bottom + MARGIN


def sequence(lines):
	"""Elements, width and height of the actors and what they send."""
	actors, out, y = {}, [], 3 * MARGIN + 20
	for line in lines:
		if line[0] == "actor":
			x = MARGIN + ACTOR / 2 + ACTOR * len(actors)
			actors[line[1]] = x
			out.append(f'<rect x="{x - 80:g}" y="{2 * MARGIN}" width="160" height="28"/>')
			out.append(words(x, 2 * MARGIN + 19, " ".join(line[2:]), "head", "middle"))
		elif line[0] == "send":
			y += STEP
			x1, x2 = actors[line[1]], actors[line[2]]
			if x1 == x2:
				out.append(f'<path d="M{x1:g} {y - 8:g}h16v14h-14" marker-end="url(#tip)"/>')
				out.append(words(x1 + 24, y + 3, " ".join(line[3:]), "small"))
			else:
				out.append(arrow(x1, y, x2, y))
				out.append(words((x1 + x2) / 2, y - 6, " ".join(line[3:]), "small", "middle"))
	life = [f'<line class="life" x1="{x:g}" y1="{2 * MARGIN + 28}" x2="{x:g}" y2="{y + 20:g}"/>' for x in actors.values()]
	return life + out, 2 * MARGIN + ACTOR * len(actors), y + 2 * MARGIN


def main():
	lines = [line.split() for line in sys.stdin if line.strip() and not line.startswith("#")]
	title = " ".join(next(line for line in lines if line[0] == "title")[1:])
	for line in lines:
		if line[0] not in ("title", "box", "link", "actor", "send"):
			sys.exit(f"draw.py: '{line[0]}' is no word for a picture")
	out, width, height = (sequence if any(line[0] == "actor" for line in lines) else boxes)(lines)
	print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">')
	print(f"<title>{escape(title)}</title>", STYLE, '<rect class="page" width="100%" height="100%"/>', sep="\n")
	print(words(MARGIN, 24, title, "head"), *out, "</svg>", sep="\n")


if __name__ == "__main__":
	main()
