# SPDX-License-Identifier: GPL-2.0-or-later
"""The results as a table for a terminal, and as one for a document."""
import statistics

from lib.measure import speed, speeds

# The peers that stand for an option which is no default.
BY_OPTION = ("collect", "opens", "ro")

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def amount(value, unit):
	if value is None:
		return "-"
	if unit == "s":
		if value < 0.0995:
			return f"{value * 1000:.1f} ms"
		return f"{value:.2f} s" if value < 9.95 else f"{value:,.0f} s"
	text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
	return f"{text} {unit}" if unit != "1/s" else f"{text}/s"


def target_text(target, unit):
	"""(who to whom, measured, target, verdict)"""
	if target["versus"]:
		what, measured, wanted = f"{target['who']} : {target['versus']}", "-", f"{target['target']:g} x"
		if target["value"] is not None:
			measured = f"{target['value']:.2f} x"
	else:
		what, wanted = target["who"], amount(target["target"], unit)
		measured = amount(target["value"], unit)
	sign = "≤" if target["at_most"] else "≥"
	return what, measured, f"{sign} {wanted}", {True: "met", False: "missed", None: "not measured"}[target["met"]]


def spread(ratios):
	return f"{min(ratios):.2f} to {max(ratios):.2f}" if len(ratios) > 1 else ""


def target_spread(target, line):
	"""The least and the most of the rounds; "": there is one only, or no ratio."""
	samples = line["samples"]
	if not target["versus"] or target["value"] is None:
		return ""
	found = spread(speeds(line["unit"], samples[target["who"]], samples[target["versus"]]))
	return found and f" ({found})"


def rounds_of(line):
	return max((len(samples) for samples in line["samples"].values()), default=0)


def lines_of(results):
	for row in results["rows"]:
		for name, line in row["lines"].items():
			yield row, name, line


def terminal(row):
	"""The text of one row, as it is printed when it has been measured."""
	text = []
	for name, line in row["lines"].items():
		text.append(f"{name}: {line['work']}")
		text.append("    " + "  ".join(f"{peer} {amount(median, line['unit'])}" for peer, median in line["medians"].items())
			+ f"  (n={rounds_of(line)})")
		for target in line["targets"]:
			what, measured, wanted, verdict = target_text(target, line["unit"])
			text.append(f"      {what:24} {measured:>10}   {wanted:10} {verdict}")
	for peer, reason in row["absent"].items():
		text.append(f"    {peer}: {reason}")
	return "\n".join(text)


def summary(results):
	"""What only an option meets is counted apart: it gives something up."""
	targets = [target for _, _, line in lines_of(results) for target in line["targets"]]
	verdicts = [target["met"] for target in targets if target["who"] not in BY_OPTION]
	optional = [target["met"] for target in targets if target["who"] in BY_OPTION]
	by_option = f" (with an option: {optional.count(True)} met, {optional.count(False)} missed)" if optional else ""
	return (f"{verdicts.count(True)} targets met, {verdicts.count(False)} missed, "
		f"{verdicts.count(None)} not measured{by_option}, in {results['seconds']:.0f} s")


def cell(text):
	return text.replace("|", "\\|")


def verdict_of_floor(ratios, wanted):
	"""Rounds tell more than their median: a machine with noise decides a row at its target."""
	if not ratios:
		return ""
	if max(ratios) < wanted:
		return "floor misses it"
	if min(ratios) >= wanted:
		return "floor meets it"
	return f"floor {'meets' if statistics.median(ratios) >= wanted else 'misses'} it, not in all rounds"


def missed(results):
	"""What was missed against another peer, and what the least server does there: what it misses too is the protocol's."""
	text = ["What was missed, and how `floor` fares with the same target; medians, and the least and the most of the rounds:", "",
		"| row | missed | target | rounds | floor | rounds | git-overlayfs : floor | |", "|---|---:|---:|---|---:|---|---:|---|"]
	for _, name, line in lines_of(results):
		floor, unit = line["samples"].get("floor"), line["unit"]
		for target in line["targets"]:
			if target["met"] is not False:
				continue
			what, measured, wanted, _ = target_text(target, unit)
			versus, who = line["samples"].get(target["versus"]), line["samples"][target["who"]]
			least = speeds(unit, floor, versus) if floor and versus else []
			share = speed(unit, who, floor) if floor and versus else None
			text.append("| " + " | ".join([name, f"{what} {measured}", wanted, spread(speeds(unit, who, versus) if versus else []),
				f"{statistics.median(least):.2f} x" if least else "", spread(least), f"{share:.2f} x" if share else "",
				verdict_of_floor(least, target["target"])]) + " |")
	return [*text, ""] if len(text) > 4 else []


def document(results, drawing):
	peers = []
	for _, _, line in lines_of(results):
		peers += [peer for peer in line["medians"] if peer not in peers]
	peers = [peer for peer in results["peers"] if peer in peers] + [peer for peer in peers if peer not in results["peers"]]
	text = [BEGIN, ""]
	if drawing:
		text += [f"![Speed by row]({drawing})", ""]
	text += [f"| row | work | {' | '.join(peers)} | rounds | ratio (least to most) | target | |", "|---|---|" + "---:|" * len(peers) + "---:|---:|---:|---|"]
	for _, name, line in lines_of(results):
		medians = [amount(line["medians"].get(peer), line["unit"]) if peer in line["medians"] else "" for peer in peers]
		targets = [target_text(target, line["unit"]) for target in line["targets"]] or [("", "", "", "")]
		spreads = [target_spread(target, line) for target in line["targets"]] or [""]
		columns = [name, line["work"], *medians, str(rounds_of(line)), "<br>".join(f"{t[0]} {t[1]}{s}" for t, s in zip(targets, spreads)),
			"<br>".join(t[2] for t in targets), "<br>".join(t[3] for t in targets)]
		text.append("| " + " | ".join(cell(column) for column in columns) + " |")
	machine = results["machine"]
	text += ["", *missed(results), f"{summary(results)}. Machine: {machine['processors']} processors ({machine['processor']}), "
		f"{machine['memory_GiB']} GiB, {machine['file_system']}, Linux {machine['kernel']}, {machine['git']}, "
		f"{machine['fuse-overlayfs'] or 'no fuse-overlayfs'}, {machine['git-overlayfs']} at {machine['revision']} "
		f"(build type {machine['build']}), {machine['date']}, load at the start {machine['load'][0]:.1f}. How data of the upper goes: "
		+ ", ".join(f"{peer} {path or 'unknown'}" for peer, path in results["data_paths"].items()) + ". The command was",
		"", "```sh", results["command"], "```", ""]
	for run in results.get("later", []):
		text += [f"Measured again on the same machine, at {run['revision']}, {run['date']}, load at the start {run['load'][0]:.1f}: "
			f"{', '.join(run['rows'])}, by", "", "```sh", run["command"], "```", ""]
	absent = [f"{row['name']}: {peer}: {reason}" for row in results["rows"] for peer, reason in row["absent"].items()]
	if absent:
		text += ["Not measured: " + "; ".join(absent) + ".", ""]
	return "\n".join(text + [END])


def replace_section(path, section, marks=(BEGIN, END)):
	with open(path, encoding="utf-8") as f:
		text = f.read()
	before, begin, rest = text.partition(marks[0])
	_, end, after = rest.partition(marks[1])
	if not begin or not end:
		raise ValueError(f"{path} has no {marks[0]} and {marks[1]}")
	with open(path, "w", encoding="utf-8") as f:
		f.write(before + section + after)
