# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# A syslog, for tests of what writes to it or is to leave it alone: source it after case.sh.

# with_syslog: until the end of the test; each message is a line of ./syslog. A machine's own is covered in this test's
# mount namespace.
with_syslog() {
	local socket=/dev/log
	if [ -e "$socket" ]; then socket=$PWD/syslog.socket; else on_exit rm -f "$socket"; fi
	python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
	print(s.recv(65536).decode(errors="replace").rstrip(), flush=True)' "$socket" >syslog &
	on_exit kill $!
	wait_for 5 test -S "$socket" || fail "no syslog"
	chmod 666 "$socket"
	if [ "$socket" = /dev/log ]; then return 0; fi
	mount --bind "$socket" /dev/log
	on_exit umount /dev/log
}
