#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""example-steps KIND FILE: the steps of a CI job in an example, as shell scripts NAME in the working directory.

	gitlab   before_script and script in one shell: script; and after_script
	github   each step that runs something: 1, 2, ...; in 2.dir the directory of the second, and the job's env
	jenkins  each sh step: 1, 2, ...
	pod      args of a container of a DaemonSet: its name; of one whose image has the command one a line
"""
import re
import sys

import yaml


def write(name, text):
	with open(name, "w", encoding="utf-8") as f:
		f.write(text.rstrip("\n") + "\n")


def gitlab(text):
	jobs = yaml.safe_load(text)
	for name, job in jobs.items():
		if "script" not in job:
			continue
		whole = {**jobs.get(job.get("extends"), {}), **job}
		assert whole["variables"]["GIT_STRATEGY"] == "none", whole
		write("script", "\n".join(whole.get("before_script", []) + whole["script"]))
		write("after_script", "\n".join(whole["after_script"]))
		write("artifacts", "\n".join(job["artifacts"]["paths"]))
		write("name", name)


def github(text):
	(job,) = yaml.safe_load(text)["jobs"].values()
	write("env", "\n".join(f"{key}={value}" for key, value in job["env"].items()))
	for number, step in enumerate(job["steps"], 1):
		write(f"{number}", step["run"])
		write(f"{number}.dir", step.get("working-directory", "."))
		write(f"{number}.if", step.get("if", "success()"))


def jenkins(text):
	steps = re.finditer(r"(?:dir\('([^']*)'\) \{ )?sh (?:'''(.*?)'''|'([^'\n]*)')", text, re.S)
	for number, step in enumerate(steps, 1):
		write(f"{number}", step[2] or step[3])
		write(f"{number}.dir", step[1] or ".")


def pod(text):
	spec = yaml.safe_load(text)["spec"]["template"]["spec"]
	for container in spec["initContainers"] + spec["containers"]:
		if "args" in container:
			write(container["name"], "\n".join(container["args"]))
			write(container["name"] + ".shell", " ".join(container.get("command", [])))


if __name__ == "__main__":
	with open(sys.argv[2], encoding="utf-8") as f:
		{"gitlab": gitlab, "github": github, "jenkins": jenkins, "pod": pod}[sys.argv[1]](f.read())
