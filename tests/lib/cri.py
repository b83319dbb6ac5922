#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""cri.py SOCKET HANDLER NAMESPACE IMAGE [KEY=VALUE]... -- COMMAND...: what a kubelet does for a pod, over the CRI of SOCKET.

A pod of the runtime HANDLER, with the annotations KEY=VALUE, whose one container sleeps while COMMAND runs in it. Prints
what that prints, and "container ID" to standard error; everything is removed at the end. Messages are encoded by hand,
for the few fields here need no generated code: https://protobuf.dev/programming-guides/encoding, runtime.v1 api.proto.
"""
import os
import sys

import grpc

SERVICE = "/runtime.v1.RuntimeService/"
NODE = 2  # NamespaceMode: the host's, so that no network plugin is needed


def varint(number):
	out = b""
	while number > 127:
		out += bytes([number & 127 | 128])
		number >>= 7
	return out + bytes([number])


def encode(*fields):
	"""(number, value)...: numbers, texts, messages as bytes"""
	out = b""
	for number, value in fields:
		if isinstance(value, int):
			out += varint(number << 3) + varint(value)
		else:
			data = value.encode() if isinstance(value, str) else value
			out += varint(number << 3 | 2) + varint(len(data)) + data
	return out


def take_varint(data, at):
	number = shift = 0
	while True:
		byte = data[at]
		at += 1
		number |= (byte & 127) << shift
		shift += 7
		if byte < 128:
			return number, at


def decode(data):
	"""{number: value} of the last of each; texts stay bytes"""
	fields, at = {}, 0
	while at < len(data):
		key, at = take_varint(data, at)
		value, at = take_varint(data, at)
		if key & 7 == 2:
			value, at = data[at:at + value], at + value
		elif key & 7 != 0:
			raise ValueError(f"wire type {key & 7}")
		fields[key >> 3] = value
	return fields


class Runtime:
	def __init__(self, socket):
		self.channel = grpc.insecure_channel(f"unix://{socket}")

	def call(self, method, *fields):
		return decode(self.channel.unary_unary(SERVICE + method)(encode(*fields), timeout=60))


def sandbox_config(namespace, annotations):
	name = f"pod-{os.getpid()}"
	host = encode((1, encode((1, NODE))))
	return encode(
		(1, encode((1, name), (2, name), (3, namespace))),
		*((7, encode(*enumerate(text.split("=", 1), 1))) for text in annotations),
		(8, encode((2, host))),
	)


def run(runtime, sandbox, config, image, command):
	container = encode((1, encode((1, "job"))), (2, encode((1, image))), (3, "/bin/sleep"), (4, "1000"))
	created = runtime.call("CreateContainer", (1, sandbox), (2, container), (3, config))[1]
	print("container", created.decode(), file=sys.stderr)
	runtime.call("StartContainer", (1, created))
	said = runtime.call("ExecSync", (1, created), *((2, word) for word in command), (3, 60))
	sys.stdout.write(said.get(1, b"").decode() + said.get(2, b"").decode())
	return said.get(3, 0)


def main():
	split = sys.argv.index("--")
	socket, handler, namespace, image, *annotations = sys.argv[1:split]
	runtime, config = Runtime(socket), sandbox_config(namespace, annotations)
	sandbox = None
	try:
		sandbox = runtime.call("RunPodSandbox", (1, config), (2, handler))[1]
		return run(runtime, sandbox, config, image, sys.argv[split + 1:])
	except grpc.RpcError as e:
		print(e.details(), file=sys.stderr)
		return 1
	finally:
		if sandbox:
			runtime.call("StopPodSandbox", (1, sandbox))
			runtime.call("RemovePodSandbox", (1, sandbox))


if __name__ == "__main__":
	sys.exit(main())
