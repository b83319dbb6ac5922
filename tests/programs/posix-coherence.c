/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who sees what, and when: over a copy-up, a rename, an unlink, with the page cache dropped in
 * between. */
#include "posix.h"

/* A reader by descriptor and one by mapping, from before; they and another process see each change.
 */
#define READERS \
	"fd 1 f r; fd 2 f r; mmap 1 2 r shared; pread 1 0 7 = content; mread 1 0 7 = content;"
#define SEEN(text)    "pread 1 0 4 = " text "; mread 1 0 4 = " text "; other text f; size #1; size f;"
#define DROPPED(text) SEEN(text) "drop 1;" SEEN(text) "forget 1;" SEEN(text) "drop 3;" SEEN(text)

static const struct posix_check checks[] = {
	{"a write after", NULL,
		READERS "put f NEW1;" DROPPED("NEW1") "put f NEW2;" DROPPED("NEW2")},
	{"a write by another process", NULL,
		READERS "other put f NEW1;" DROPPED("NEW1") "other put f NEW2;" DROPPED("NEW2")},
	{"a write through a mapping", NULL,
		READERS
		"fd 3 f rw; mmap 2 3 rw shared; mwrite 2 0 MAP1;" SEEN("MAP1") "msync 2;" DROPPED("MAP1") "mwrite 2 0 MAP2; drop 3;" SEEN(
			"MAP2") "close 3; mwrite 2 0 MAP3;" DROPPED("MAP3") "put f PUT4;" SEEN("PUT4") "mread 2 0 4 = PUT4"},
	{"caches dropped before anything changes", NULL,
		READERS "drop 3; fd 3 f rw; drop 3; pwrite 3 0 NEW1; drop 3;" SEEN(
			"NEW1") "close 3; drop 3;"
				"put f NEW2;" SEEN("NEW2")},
	{"private mappings", NULL,
		"fd 1 f r; mmap 1 1 rw private; mread 1 0 7 = content; mwrite 1 0 MINE; put f THEIRS; mread 1 0 4 ="
		" MINE; text f; drop 3; mread 1 0 4 = MINE; text f; pread 1 0 6 = THEIRS"},
	{"a truncation and growth", NULL,
		READERS
		"truncate f 4; pread 1 0 19 = cont; size #1 = 4; seek 1 0 end = 4; drop 3; pread 1 0 19 = "
		"cont; truncate f 10; pread 1 0 19; mread 1 0 10; drop 3; mread 1 0 10; fd 3 f w,append; write 3 "
		"more; pread 1 8 10; size #1 = 14; other text f; open f w,trunc; size #1 = 0; pread 1 0 4 = -;"
		"put f again; pread 1 0 9 = again; mread 1 0 5 = again"},
	{"renamed", NULL,
		READERS
		"rename f d/g; put d/g NEW1; pread 1 0 4 = NEW1; mread 1 0 4 = NEW1; drop 3; pread 1 0 4 = "
		"NEW1; rename d/g f; other put f NEW2;" DROPPED("NEW2")},
	{"renamed over", NULL,
		READERS
		"create n 0644 newer; rename n f; pread 1 0 7 = content; mread 1 0 7 = content; text f = "
		"newer; drop 3; pread 1 0 7 = content; mread 1 0 7 = content; nlink #1 = 0; put f other; pread 1"
		" 0 7 = content; other text f = other"},
	{"exchanged", NULL,
		READERS
		"rename2 f x exchange; pread 1 0 7 = content; put x NEW1; pread 1 0 4 = NEW1; mread 1 0 4 = "
		"NEW1; text f = #!/bin/true; drop 3; mread 1 0 4 = NEW1; put f FFFF; mread 1 0 4 = NEW1"},
	{"unlinked", NULL,
		READERS
		"fd 3 f rw; unlink f; drop 3; pread 1 0 7 = content; pwrite 3 0 NEW1; pread 1 0 4 = NEW1;"
		"mread 1 0 4 = NEW1; drop 3; mread 1 0 4 = NEW1; ftruncate 3 6; size #1 = 6; create f 0644 other;"
		"pread 1 0 4 = NEW1; text f = other; mmap 2 3 rw shared; mwrite 2 0 NEW2; pread 1 0 4 = NEW2"},
	{"unlinked before anything changes", NULL,
		READERS
		"unlink f; drop 3; pread 1 0 7 = content; mread 1 0 7 = content; chmod #1 0600; mode #1 = "
		"0600; drop 3; pread 1 0 7 = content; mread 1 0 7 = content; size #1 = 19; utimens #1 1 2; mtime "
		"#1 = 2.000000000; pread 2 0 7 = content"},
	{"hard links", NULL,
		"type h; fd 1 g r; fd 2 h r; mmap 1 2 r shared; mread 1 0 6 = linked; put g FIRST; pread 2 0 5 = "
		"FIRST; mread 1 0 5 = FIRST; put h SECON; pread 1 0 5 = SECON; drop 3; text g; text h; unlink g;"
		"put h THIRD; pread 1 0 5 = THIRD; mread 1 0 5 = THIRD; truncate h 2; size #1 = 2"},
	{"attributes change", NULL,
		READERS "chmod f 0600;" SEEN(
			"cont") "mode #1 = 0600; chown f bob bob; owner #1 = 61002:61002; drop 3;"
				"owner #1 = 61002:61002; other chmod f 0644; mode #1 = 0644; setxattr f user.a v; drop 2;" SEEN(
					"cont") "utimens f 1 2; mtime #1 = 2.000000000; put f NEW1;" SEEN("NEW1")},
	{"directly and through the page cache", NULL,
		"fd 1 f r; fd 2 f rw,direct; truncate f 8192; pread 1 0 7 = content; put f BUFFERED; fd 3 f rw;"
		"mmap 1 1 r shared; mread 1 0 8 = BUFFERED; pwrite 3 4096 second; mread 1 4096 6 = second; drop 1;"
		"mread 1 4096 6 = second; pread 3 4096 6 = second"},
	{"a copy by copy_file_range", NULL,
		READERS "fd 3 x r; fd 4 f rw; copyrange 3 4 4 = 4;" SEEN("#!/b") "drop 3;" SEEN(
			"#!/b") "fd 5 d/in w; copyrange 1 5 4 = 4; text d/in; drop 3; text d/in"},
	{"a hole is punched", NULL,
		READERS
		"fd 3 f rw; fallocate 3 punch 0 3; mread 1 0 7 = ...tent; pread 1 0 7; drop 3; mread 1 0 7 = "
		"...tent; fallocate 3 zero 0 100; mread 1 0 7 = .......; size #1 = 100"},
	{"a directory stream sees what comes and goes", NULL,
		"ls d = filled,in,sub; create d/n 0644; ls d = filled,in,n,sub; other unlink d/in; ls d = "
		"filled,n,sub; rename d/n d/m; other ls d = filled,m,sub; drop 3; ls d = filled,m,sub; other mkdir "
		"d/k 0755; ls d = filled,k,m,sub; rmdir d/k; drop 2; other ls d = filled,m,sub; type d/in = ENOENT;"
		"other create d/in 0644 back; text d/in = back"},
};

POSIX_AREA(posix_coherence, "coherence", checks);

/* --- locks, leases, events --- */

static const struct posix_check lock_checks[] = {
	{"flock", NULL,
		"fd 1 f r; fd 2 f r; flock 1 sh; flock 2 sh; flock 2 ex = EAGAIN; flock 1 un; flock 2 ex; flock 1 sh"
		" = EAGAIN; other flock ./f sh = EAGAIN; close 2; other flock ./f ex = 0; flock 1 ex; put f NEW;"
		"other flock ./f sh = EAGAIN; rename f k; other flock ./k sh = EAGAIN; fd 3 k rw; flock 3 sh = EAGAIN;"
		"drop 3; flock 3 sh = EAGAIN; close 1; flock 3 ex; other flock ./k sh = EAGAIN; unlink k; create k "
		"0644; other flock ./k ex = 0"},
	{"locks of a process", NULL,
		"fd 1 f rw; lock 1 w 0 10; other lock ./f w 5 1 = EAGAIN; other lock ./f w 10 1 = 0; other who f w 0 0"
		" = write; other who f w 10 0 = free; lock 1 r 0 10; other lock ./f r 0 1 = 0; other lock ./f w 0 1 ="
		" EAGAIN; other who f w 0 1 = read; lock 1 u 0 5; other lock ./f w 0 5 = 0; other lock ./f w 5 1 = "
		"EAGAIN; fd 2 f r; close 2; other lock ./f w 5 1 = 0; fd 3 x r; lock 3 w 0 0 = EBADF; lock 3 r 0 0"},
	{"locks of an open file", NULL,
		"fd 1 f rw; fd 2 f rw; ofd 1 w 0 0; ofd 2 r 0 1 = EAGAIN; lock 2 w 0 1 = EAGAIN; other lock ./f r 0 1"
		" = EAGAIN; fd 3 f r; close 3; ofd 2 w 100 1 = EAGAIN; ofd 1 u 0 0; ofd 2 w 0 0; close 2; ofd 1 w 0 0"},
	{"locks over a copy-up", NULL,
		"fd 1 f r; ofd 1 r 0 0; lock 1 r 0 0; other lock ./f w 0 1 = EAGAIN; put f NEW; other lock ./f w 0 1 ="
		" EAGAIN; chmod f 0600; other who f w 0 0 = read; fd 2 f rw; ofd 2 w 0 1 = EAGAIN; drop 3; ofd 2 w 0 1"
		" = EAGAIN; rename f k; other lock ./k w 0 1 = EAGAIN; close 1; ofd 2 w 0 1; flock 2 ex; truncate k 0;"
		"other flock ./k sh = EAGAIN; other lock ./k r 0 1 = EAGAIN"},
	{"locks on links", NULL,
		"type h; fd 1 g rw; flock 1 ex; lock 1 w 0 0; fd 2 h rw; flock 2 sh = EAGAIN; ofd 2 r 0 1 = EAGAIN;"
		"put h NEW; flock 2 sh = EAGAIN; other lock ./h r 0 1 = 0; fd 3 d r; flock 3 ex; other flock "
		"./x ex = 0; fd 4 d r; flock 4 sh = EAGAIN; chmod d 0700; flock 4 sh = EAGAIN; close 3; flock 4 sh"},
	{"leases", NULL,
		"fd 1 f r; ? lease 1 r; fd 2 f r; ? lease 1 w; ? lease 1 u; close 2; fd 3 x rw; ? lease 3 r; ? lease 3"
		" w; ? lease 3 u; fd 4 d r; ? lease 4 r"},
	{"inotify of a directory", NULL,
		"watch 1 d; events 1 = -; create d/n 0644 x; events 1; put d/in NEW; events 1; chmod d/filled 0600;"
		"events 1; rename d/n d/m; events 1; rename d/m m; events 1; rename m d/n; events 1; unlink d/n;"
		"events 1; mkdir d/k 0755; events 1; rmdir d/k; events 1; link f d/l; events 1; truncate d/in 1;"
		"events 1; utimens d/in 1 1; events 1; setxattr d/in user.a v; events 1; symlink a d/s; events 1;"
		"other put d/filled BY; events 1; unlink d/in; events 1; rename d e/d; events 1; ls e/d; events 1"},
	{"inotify of a file", NULL,
		"watch 1 f; put f NEW; events 1; chmod f 0600; events 1; rename f k; events 1; link k l2; events 1;"
		"unlink k; events 1; truncate l2 0; events 1; other put l2 other; events 1; fd 2 l2 rw; unlink l2;"
		"events 1; pwrite 2 0 x; events 1; close 2; events 1"},
	{"fanotify", NULL,
		"fanwatch 1 d; fanevents 1 = -; put d/in NEW; fanevents 1; text d/filled; fanevents 1; create d/n 0644"
		" x; fanevents 1; truncate d/in 1; fanevents 1; other put d/in other; fanevents 1; open f r; fanevents"
		" 1 = -; fd 2 d/in rw; mmap 1 2 rw shared; mwrite 1 0 x; close 2; fanevents 1 = open,~close-writeopen,"},
};

POSIX_AREA(posix_locks, "locks", lock_checks);
