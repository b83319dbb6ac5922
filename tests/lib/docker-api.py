#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docker-api.py SOCKET IMAGE HOSTCONFIG VARIABLE... -- COMMAND...

Runs a container by docker's API as a CI runner's docker executor does, prints what it says, removes it, and exits with its
status; with 125, and what the engine says, where there is no container.
"""
import http.client
import json
import socket
import sys


class Connection(http.client.HTTPConnection):
	def __init__(self, path):
		super().__init__("localhost", timeout=60)
		self.path = path

	def connect(self):
		self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		self.sock.settimeout(self.timeout)
		self.sock.connect(self.path)


def ask(path, method, what, body=None):
	connection = Connection(path)
	connection.request(method, f"/v1.41/{what}", json.dumps(body) if body else None,
		{"Content-Type": "application/json"})
	answer = connection.getresponse()
	text = answer.read()
	connection.close()
	if answer.status >= 400:
		print(f"{method} {what}: {text.decode()}")
		sys.exit(125)
	return text


def output(stream):
	"""Without the 8 bytes before each piece that say of which stream it is, and how long."""
	text, at = b"", 0
	while at + 8 <= len(stream):
		end = at + 8 + int.from_bytes(stream[at + 4:at + 8], "big")
		text += stream[at + 8:end]
		at = end
	return text.decode()


def main():
	path, image, host, *variables = sys.argv[1:sys.argv.index("--")]
	made = ask(path, "POST", "containers/create", {"Image": image, "Cmd": sys.argv[sys.argv.index("--") + 1:],
		"Env": variables, "HostConfig": {"NetworkMode": "none", **json.loads(host)}})
	container = "containers/" + json.loads(made)["Id"]
	try:
		ask(path, "POST", f"{container}/start")
		status = json.loads(ask(path, "POST", f"{container}/wait"))["StatusCode"]
		print(output(ask(path, "GET", f"{container}/logs?stdout=1&stderr=1")), end="")
	finally:
		ask(path, "DELETE", f"{container}?force=1")
	return status


if __name__ == "__main__":
	sys.exit(main())
