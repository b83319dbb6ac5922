#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""doctor-findings.py SAID SOURCE...: whether the lines of SAID, which the doctor printed, have each warning and failure that
these sources of src/cli can make: every text with every remedy that is written beside it. A finding without a remedy is
refused."""
import os
import re
import sys

CALL = re.compile(r"\b(finding_set|finding_set_error)\(|\bsnprintf\((?=(?:ret_)?remedy\b)")
LITERALS = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*(?:[A-Z][A-Z_0-9]*\s*)?"(?:[^"\\\n]|\\.)*")*(?:\s*[A-Z][A-Z_0-9]*\b)?')
PART = re.compile(r'"((?:[^"\\\n]|\\.)*)"|([A-Z][A-Z_0-9]*)')
CONVERSION = re.compile(r"%[-0 #.*0-9]*(?:hh|h|ll|l|z|j)?[a-zA-Z]")
ANYTHING = ".+"


def arguments(text, at):
	"""Of a call, from behind its parenthesis."""
	found, depth, start, in_string = [], 0, at, False
	while depth >= 0:
		char = text[at]
		if in_string:
			at += char == "\\"
			in_string = char != '"'
		elif char == '"':
			in_string = True
		elif char in "({[":
			depth += 1
		elif char in ")}]":
			depth -= 1
		if not in_string and (depth < 0 or (depth == 0 and char == ",")):
			found.append(text[start:at].strip())
			start = at + 1
		at += 1
	return found


def pattern_of(literals):
	"""A regular expression for what printf makes of it; what macros hold is anything."""
	pattern = ""
	for part in PART.finditer(literals):
		if part[2]:
			pattern += ANYTHING
		else:
			pattern += ".*".join(map(re.escape, CONVERSION.split(part[1].replace('\\"', '"'))))
	return pattern


def patterns(argument):
	"""One for each text that it can be."""
	return [pattern_of(found[0]) for found in LITERALS.finditer(argument)] or [ANYTHING]


def findings(text):
	"""(regular expression of a line, what it is made from) for each."""
	for call in CALL.finditer(text):
		given = arguments(text, call.end())
		if call[1] is None:
			# A remedy that is put together before the finding is.
			for remedy in patterns(given[2]):
				yield f"(warn|fail) .*; {remedy}", given[2]
		elif given[0] == "finding" and given[1] in ("FINDING_WARN", "FINDING_FAIL"):
			state = given[1].removeprefix("FINDING_").lower()
			end = ANYTHING if call[1] == "finding_set_error" else ""
			for what in patterns(given[3]):
				for remedy in patterns(given[2]):
					yield f"{state} +[a-z0-9 ]+: {what}{end}; {remedy}", given[2] + " " + given[3]
		elif given[0] == "finding" and given[1] != "FINDING_OK":
			yield "nothing", "a state that is not written out: " + given[1]


def main():
	with open(sys.argv[1], encoding="utf-8") as f:
		said = f.read().splitlines()
	problems, count = [], 0
	for source in sys.argv[2:]:
		with open(os.path.join(os.environ["SOURCE_DIR"], "src/cli", source), encoding="utf-8") as f:
			text = f.read()
		for pattern, made_from in findings(text):
			count += 1
			if pattern.endswith("; "):
				problems.append(f"{source}: no remedy: {made_from}")
			elif not any(re.fullmatch(pattern, line) for line in said):
				problems.append(f"{source}: found by no test: {pattern}")
	print("\n".join(problems) or f"{count} findings")
	return 1 if problems or not count else 0


if __name__ == "__main__":
	sys.exit(main())
