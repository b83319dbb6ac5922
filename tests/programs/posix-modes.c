/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Set-id bits, group inheritance, umask, capabilities of files, chown. */
#include "posix.h"

#define ALL_BITS "04755,02755,06755,02745,06777,04644,02644,06644,01755"
/* A file with each, alice's; all may write to it. */
#define BITS                                                                                        \
	"each " ALL_BITS " { create m$ 0777 some\\scontent; chown m$ alice alice; chmod m$ $ };"    \
	"each 06777,06776,06767,04766,02776,02777 { create w$ 0777 some\\scontent; chown w$ alice " \
	"alice; chmod w$ $ };"
#define OPEN_TO_ALL "each 06777,06776,06767,04766,02776,02777"
/* By each user of each file: root keeps the bits, others lose them. */
#define BY_ALL(statements) \
	OPEN_TO_ALL " { " statements " }; " OPEN_TO_ALL " { as root; chmod w$ $ };"

/*
 * A setgid bit without group execution goes where the one who changes the file is not in the group.
 * Of truncations the kernel of FUSE does not tell the daemon.
 */
#define AFTER_ALL(statements, outsider)                                                             \
	"each root,alice,bob,carol { as root; create f$ 0777 some\\scontent; chown f$ alice alice;" \
	" chmod f$ 06777; create g$ 0777 content; chown g$ alice alice; chmod g$ 02767;"            \
	" as $; " statements " mode f$ = 6777|0777|0777|0777; mode g$ = 2767|2767|2767|" outsider   \
	";"                                                                                         \
	" close 1; close 2; as root; chmod f$ 06777; mode f$ = 6777; chmod g$ 0700 }"
#define AFTER(statements)	     AFTER_ALL(statements, "0767")
#define AFTER_TRUNCATION(statements) AFTER_ALL(statements, "0767~2767")

static const struct posix_check checks[] = {
	{"write", NULL, AFTER("fd 1 f$ w; fd 2 g$ w; write 1 new; write 2 new;")},
	{"write at an offset", NULL,
		AFTER("fd 1 f$ rw; fd 2 g$ rw; pwrite 1 100 new; pwrite 2 5000 new;")},
	{"write to append", NULL,
		AFTER("fd 1 f$ w,append; fd 2 g$ w,append; write 1 new; write 2 new;")},
	{"write directly", NULL,
		AFTER("fd 1 f$ w,sync; fd 2 g$ w,sync; write 1 new; write 2 new;")},
	{"truncate", NULL,
		AFTER_TRUNCATION("fd 1 f$ r; fd 2 g$ r; truncate f$ 3; truncate g$ 100;")},
	{"truncate to the same size", NULL,
		AFTER_TRUNCATION("fd 1 f$ r; fd 2 g$ r; truncate f$ 12; truncate g$ 7;")},
	{"ftruncate", NULL,
		AFTER_TRUNCATION("fd 1 f$ rw; fd 2 g$ rw; ftruncate 1 3; ftruncate 2 100;")},
	{"O_TRUNC", NULL, AFTER_TRUNCATION("fd 1 f$ rw,trunc; fd 2 g$ rw,trunc;")},
	{"fallocate", NULL,
		AFTER("fd 1 f$ rw; fd 2 g$ rw; fallocate 1 0 0 8192; fallocate 2 keep 0 8192;")},
	{"punching a hole", NULL,
		AFTER("fd 1 f$ rw; fd 2 g$ rw; fallocate 1 punch 0 4; fallocate 2 zero 0 4;")},
	{"copy_file_range", NULL,
		AFTER("fd 1 f$ w; fd 2 g$ w; fd 3 f r; copyrange 3 1 5; copyrange 3 2 5; close 3;")},
	/* In a user namespace the daemon has no CAP_FSETID, and the upper asks for it. */
	{"writing through a mapping", NULL,
		"each root,alice,bob,carol { as root; create f$ 0777 some\\scontent; chown f$ alice alice;"
		" chmod f$ 06777; as $; fd 1 f$ rw; mapwrite 1 0 NEW; text f$; mode f$ = 6777~0777; close 1; as root;"
		" chmod f$ 0777 }"},
	{"opening for writing alone", NULL,
		"each root,alice,bob,carol { as root; create f$ 0777 text; chmod f$ 06777; as $; fd 1 f$ rw;"
		" fsync 1; close 1; fd 1 f$ r; close 1; mode f$ = 6777|6777|6777|6777 }"},
	{"chown", BITS,
		"each " ALL_BITS
		" { chown m$ bob -; mode m$; chown m$ - bob; mode m$; chmod m$ $; chown m$ - -;"
		" mode m$; chmod m$ $; chown m$ bob bob; mode m$; owner m$ = 61002:61002 };"
		"chmod d 07777; chown d bob -; mode d = 7777; chown d - carol; mode d = 7777; chmod d 02755"},
	{"chown as the owner", BITS,
		"as alice; each " ALL_BITS
		" { chown m$ - alice; mode m$; chown m$ alice -; mode m$; chmod m$ $;"
		" chown m$ - -; mode m$ }; chmod d 02755; chown d - alice; mode d = 2755"},
	{"chown of a file that has been opened", BITS,
		"each " ALL_BITS
		" { fd 1 m$ rw; chown #1 bob carol; mode m$; mode #1; owner #1 = 61002:61003;"
		" close 1 }"},
	{"the setgid bit and a group that one is not in",
		"chown f alice carol; chown d alice carol;",
		"as alice; chmod f 02755; mode f = 0755; chmod f 04755; mode f = 4755; chmod f 06755; mode f = "
		"4755; chmod d 02755; mode d = 0755; fd 1 f r; chmod #1 02755; mode f = 0755; as root; chmod f "
		"02755; mode f = 2755; chmod d 02755; mode d = 2755; as alice; chmod f 0755; mode f = 0755"},
	{"the setgid bit and a supplementary group", "chown f bob alice; chown d bob alice;",
		"as bob; chmod f 02755; mode f = 2755; chmod d 02775; mode d = 2775; mkdir d/n 0755; owner d/n = "
		"61002:61001; mode d/n = 2755; create d/m 02755; owner d/m = 61002:61001; mode d/m = 2755"},
	{"setgid directories", "mkdir t 0777; chown t alice alice; chmod t 02777;",
		"each root,alice,bob,carol { as $; create t/f$ 0644; owner t/f$; mode t/f$ = 0644; mkdir t/d$ "
		"0755; owner t/d$; mode t/d$ = 2755; mkdir t/d$/e 0700; owner t/d$/e; mode t/d$/e = 2700;"
		" symlink x t/l$; owner t/l$; mknod t/p$ fifo 0644; owner t/p$; mknod t/s$ sock 0644; owner t/s$;"
		" create t/x$ 02755; mode t/x$; owner t/x$; create t/y$ 02745; mode t/y$;  mknod t/r$ reg 02755; mode t/r$; owner t/r$ };"
		"as root; chmod t 0777; as carol; create t/plain 0644; owner t/plain = 61003:61003"},
	{"a setgid directory of below that has not changed",
		"chmod d 02777; chmod d/sub 02777; chown d - bob;",
		"as carol; create d/n 0644; owner d/n = 61003:61002; mkdir d/m 0755; owner d/m = 61003:61002;"
		"mode d/m = 2755; mkdir d/sub/m 0755; owner d/sub/m = 61003:61001; mode d/sub = 2777; mode d = 2777;"
		"rename d/n d/sub/n; owner d/sub/n = 61003:61002; link d/sub/n d/k; owner d/k = 61003:61002"},
	{"umask", NULL,
		"each 0,022,027,077,0777,0123 { umask $; create f$ 0777; mode f$; mkdir d$ 0777; mode d$; mknod "
		"p$ fifo 0777; mode p$; open o$ w,creat 0666; mode o$; symlink a l$; mode l$ = 0777; create x$ "
		"06777; mode x$; mkdir y$ 07777; mode y$ };"
		"umask 0; each f0,d0,p0 { chmod $ 0777; mode $ = 0777 }; umask 0777; chmod f0 0755; mode f0 = 0755"},
	{"modes at creation", NULL,
		"umask 0; each 0,0001,0444,0644,0666,0755,01777,02755,04755,07777 { create f$ $; mode f$; mkdir d$"
		" $; mode d$; open g$ rw,creat $; mode g$; mknod n$ reg $; mode n$; as alice; create u$ $; mode u$;"
		" mkdir v$ $; mode v$; as root }"},
	{"a file without rights can be written by its creator", NULL,
		"as alice; fd 1 n rw,creat,excl 0; write 1 text; pread 1 0 4 = text; fd 2 n r = EACCES; chmod #1 "
		"0400; text n = text; fd 3 m w,creat,excl 0444; write 3 more; text m = more; ftruncate 3 2;"
		"open m w = EACCES; mode n = 0400"},
	{"all modes stick", NULL,
		"each 0,0001,0010,0100,0200,0400,0777,01000,02000,04000,07777 { chmod f $; mode f; chmod d $; mode"
		" d; chmod p $; mode p; chmod c $; mode c; chmod s $; mode s; chmod g $; mode h }; chmod d 0755"},
	{"capabilities of a file go with a write", "each f,x,g { setcap $ };",
		"each f,x,g { getxattr $ security.capability = 20 }; fd 1 f rw; write 1 new;"
		"getxattr f security.capability = ENODATA; truncate x 3; getxattr x security.capability = ENODATA;"
		"chown g bob -; getxattr h security.capability = ENODATA"},
	{"capabilities of a file, as its owner", "each f,x,g { setcap $ };",
		"as alice; fd 1 f rw; pwrite 1 0 new; truncate x 3; chown g - alice; chmod g 0600; each f,x,g { "
		"getxattr $ security.capability = ENODATA }; as root; setcap f; as alice; mode f; text f;"
		"getxattr f security.capability = 20; fd 2 f rw; fallocate 2 0 0 100; getxattr f "
		"security.capability; as root; setcap f; rename f k; link k m; chmod m 0600; utimens m 1 1;"
		"getxattr k security.capability = 20; fd 3 k rw,trunc; getxattr k security.capability = "
		"ENODATA; setcap k; fd 4 k w; mapwrite 4 0 x = EACCES; getxattr k security.capability"},
	{"capabilities of a file that is open", NULL,
		"fd 1 f rw; setcap f; write 1 x; getxattr f security.capability = ENODATA; setcap f; write 1 x;"
		"getxattr f security.capability = ENODATA; setcap f; fd 2 x r; copyrange 2 1 4; getxattr f "
		"security.capability = ENODATA; setcap f; ftruncate 1 0; getxattr f security.capability = ENODATA"},
};

POSIX_AREA(posix_modes, "modes", checks);

/* --- owners --- */

static const struct posix_check owner_checks[] = {
	{"whose is what is made", NULL,
		"each root,alice,bob,carol { as $; create f$ 0644; owner f$ = 0:0|61001:61001|61002:61002|"
		"61003:61003; mkdir d$ 0755; owner d$; symlink x l$; owner l$; mknod p$ fifo 0644; owner p$; link "
		"f$ k$; owner k$; open d$/in w,creat; owner d$/in; mknod s$ sock 0600; owner s$;  rename f$ d$/g; owner d$/g }"},
	{"replacing what another made", "chmod d 0777; chmod e 0777;",
		"as carol; unlink f; create f 0600 carol\\x27s; owner f = 61003:61003; mode f = 0600; rename f g;"
		"owner g = 61003:61003; owner h = 61001:61001; unlink d/in; mkdir d/in 0711; owner d/in = "
		"61003:61003; rmdir e; symlink x e; owner e = 61003:61003; open x w,creat = EACCES; rename d/filled"
		" x; owner x = 61001:61001"},
	{"chown of each type", NULL,
		"each f,x,d,e,g,p,c,s,d/in { chown $ carol bob; owner $ = 61003:61002; chown $ - alice; owner $ = "
		"61003:61001; chown $ bob -; owner $ = 61002:61001; chown $ 0 0; owner $ = 0:0 }; chown l bob bob;"
		"owner f = 61002:61002; owner l = 61001:61001; lchown l carol carol; owner l = 61003:61003; owner f"
		" = 61002:61002; chown dangling bob bob = ENOENT; lchown dangling bob bob; owner dangling = "
		"61002:61002"},
	{"large ids", NULL,
		"each 65534,65535,65536,2147483647,2147483648,4294967294 { chown f $ $; owner f; create n$ 0644;"
		" lchown n$ $ $; owner n$; mkdir d$ 0755; chown d$ $ $; owner d$ }"},
	{"chown by descriptor", NULL,
		"fd 1 f rw; fd 2 d r,dir; fd 3 g r; chown #1 bob -; owner f = 61002:61001; chown #2 - bob; owner d "
		"= 61001:61002; chown #3 carol carol; owner h = 61003:61003; fd 4 l path,nofollow; chown #4 1 1 = "
		"EBADF; unlink f; chown #1 carol carol; owner #1 = 61003:61003"},
	{"the other attributes stay", NULL,
		"chmod f 0640; utimens f 1 2; setxattr f user.a v; chown f bob bob; mode f = 0640; mtime f = "
		"2.000000000; getxattr f user.a = v; text f; size f = 19; chmod f 0600; owner f = 61002:61002;"
		"utimens f 3 4; owner f = 61002:61002; mode f = 0600; truncate f 2; owner f = 61002:61002; mode f ="
		" 0600; utimens d 5 6; chown d bob bob; mtime d = 6.000000000; chmod d 0700; mtime d = 6.000000000"},
};

POSIX_AREA(posix_owners, "owners", owner_checks);
