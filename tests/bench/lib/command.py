# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that must succeed within their time."""
import os
import signal
import subprocess


class Failed(Exception):
	pass


def _finish(process, args, timeout):
	try:
		out, err = process.communicate(timeout=timeout)
	except subprocess.TimeoutExpired:
		raise Failed(f"{' '.join(args)}: not done after {timeout:.0f} s") from None
	finally:
		if process.returncode is None:
			os.killpg(process.pid, signal.SIGKILL)
			process.communicate()
	if process.returncode != 0:
		text = (err or b"").decode(errors="replace").strip().splitlines()
		raise Failed(f"{' '.join(args)}: exit {process.returncode}: {text[-1] if text else 'no message'}")
	return out


def _start(args, cwd, stdout):
	return subprocess.Popen(args, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
		start_new_session=True)


def run(*args, cwd=None, timeout=None):
	with open(os.devnull, "wb") as null:
		_finish(_start(args, cwd, null), args, timeout)


def output(*args, cwd=None, timeout=None):
	return _finish(_start(args, cwd, subprocess.PIPE), args, timeout).decode(errors="replace").strip()
