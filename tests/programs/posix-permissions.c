/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may do what: files, directories, owners, groups, others. */
#include "posix.h"

/* Each class alone, and the others without it. */
#define MODES                                                                                        \
	"0000,0400,0200,0100,0600,0500,0300,0700,0040,0020,0010,0060,0050,0030,0070,0004,0002,0001," \
	"0006,0005,0003,0007,0770,0707,0077,0777,0644,0755"
#define MATRIX "each " MODES " { create m$ 0777 #!/bin/true; chown m$ alice alice; chmod m$ $; };"
#define DIRS                                                                                  \
	"each " MODES " { mkdir m$ 0755; create m$/f 0666; chmod m$/f 0666; mkdir m$/e 0777;" \
	" chown m$ alice alice; chmod m$ $ };"
#define FILE_OPS                                                                                   \
	"each " MODES                                                                              \
	" { ? open m$ r; ? open m$ w; ? open m$ rw; ? open m$ path; ? access m$ r; ? access m$ w;" \
	" ? access m$ x; ? access m$ rw; ? access m$ rwx; ? eaccess m$ x; ? exec m$; ? open m$ r,trunc }"
#define DIR_OPS                                                                                                     \
	"each " MODES                                                                                               \
	" { ? ls m$; ? open m$/f r; ? open m$/f w; ? type m$/f; ? access m$ rwx; ? access m$ w;"                    \
	" ? create m$/n 0644; ? unlink m$/n; ? mkdir m$/d 0755; ? rmdir m$/d; ? rmdir m$/e; ? link m$/f m$/k;"      \
	" ? rename m$/f m$/r; ? symlink a m$/s; ? mknod m$/q fifo 0600; ? chmod m$/f 0666; ? utimens m$/f now now;" \
	" ? truncate m$/f 0; ? unlink m$/r; ? unlink m$/f }"

static const struct posix_check checks[] = {
	{"files as root", MATRIX, "as root; " FILE_OPS},
	{"files as owner", MATRIX, "as alice; " FILE_OPS},
	{"files as group", MATRIX, "as bob; " FILE_OPS},
	{"files as other", MATRIX, "as carol; " FILE_OPS},
	{"directories as root", DIRS, "as root; " DIR_OPS},
	{"directories as owner", DIRS, "as alice; " DIR_OPS},
	{"directories as group", DIRS, "as bob; " DIR_OPS},
	{"directories as other", DIRS, "as carol; " DIR_OPS},
	{"chmod by whom", NULL,
		"each carol,bob { as $; chmod f 0600 = EPERM; chmod d 0700 = EPERM; chmod p 0600 = EPERM;"
		" chmod l 0600 = EPERM; lchmod l 0600 = EOPNOTSUPP; fd 1 f r; chmod #1 0600 = EPERM; close 1 }; as alice;"
		"chmod f 0600; chmod d 0700; chmod p 0600; chmod l 0644; mode f = 0644; as root; chmod f 0640;"
		"chmod dangling 0600 = ENOENT; mode l = 0777; chmod x 07777; mode x = 7777"},
	{"chown by whom", NULL,
		"each carol,bob { as $; chown f $ - = EPERM; chown f - $ = EPERM; chown f alice alice = EPERM;"
		" chown f - - = 0; lchown l $ $ = EPERM; chown d $ $ = EPERM };"
		"as alice; chown f alice -; chown f alice alice; chown f - alice; chown f bob - = EPERM;"
		"chown f - bob = EPERM; chown f root root = EPERM; lchown l - bob = EPERM; as root;"
		"chown f bob carol; owner f = 61002:61003; lchown l carol bob; owner l = 61003:61002;"
		"chown d carol -; owner d = 61003:61001"},
	{"chown to a supplementary group", "lchown f bob bob; lchown d bob bob; lchown l bob bob;",
		"as bob; chown f - alice; owner f = 61002:61001; chown d bob alice; owner d = 61002:61001;"
		"lchown l - alice; owner l = 61002:61001; chown f - carol = EPERM; chown f - bob;"
		"chown f - 0 = EPERM"},
	{"truncate by whom", "chmod f 0640; chmod d/in 0444;",
		"as carol; truncate f 0 = EACCES; as bob; truncate f 0 = EACCES; as alice; truncate f 3; size f ="
		" 3; truncate d/in 0 = EACCES; fd 1 d/in r; ftruncate 1 0 = EINVAL; as root; truncate d/in 2;"
		"truncate d 0 = EISDIR; truncate p 0 = EINVAL; truncate f -1 = EINVAL; truncate none 0 = ENOENT;"
		"truncate dangling 0 = ENOENT; truncate l 1; size f = 1"},
	{"utimens by whom", "chmod f 0644; chmod x 0666; chmod d/in 0400;",
		"each carol { as $; utimens f now now = EACCES; utimens f 1 1 = EPERM; utimens f omit omit = 0;"
		" utimens x now now = 0; utimens x 1 2 = EPERM; utimens x now omit = EPERM; utimens x omit now = "
		"EPERM; touch x = 0; touch f = EACCES; lutimens l now now = 0; lutimens l 1 2 = EPERM };"
		"as alice; utimens f 1 2; utimens d/in now now; utimens f now 3; utimens f 4 omit; mtime f;"
		"as root; utimens d/in 5 6; atime d/in = 5.000000000; mtime d/in = 6.000000000"},
	{"links to others' files", "chmod f 0600; chmod x 04755; chmod g 0666;",
		"as carol; link f n1 = EPERM; link x n2 = EPERM; link g n3; link p n4 = EPERM; link l n5 = EPERM;"
		"as alice; link f n6; link x n7; as bob; link f n8 = EPERM; as root; link f n9; nlink f = 3"},
	{"search in the middle", "mkdir a 0755; mkdir a/b 0755; create a/b/f 0666; chmod a 0600;",
		"as carol; type a/b = EACCES; open a/b/f r = EACCES; mkdir a/b/n 0755 = EACCES; chmod a/b/f 0600 ="
		" EACCES; unlink a/b/f = EACCES; rename a/b/f n = EACCES; rename f a/b/n = EACCES; link f a/b/n ="
		" EACCES; symlink f a/b/n = EACCES; truncate a/b/f 0 = EACCES; utimens a/b/f now now = EACCES;"
		"readlink a/b/f = EACCES; chown a/b/f - - = EACCES; access a/b/f r = EACCES; exec a/b/f = EACCES;"
		"getxattr a/b/f user.a = EACCES; rmdir a/b = EACCES; cd a = EACCES; open a r,dir = EACCES"},
	{"rename needs both directories, and one's own to move it away", NULL,
		"as carol; rename f d/f = EACCES; rename d/in in = EACCES; rename d n; rename n d;"
		"rename d e/d = EACCES; rename d/sub sub = EACCES; rename2 f d/in exchange = EACCES; as alice;"
		"rename f d/f; rename d/in in; rename d e/d; ls e = d; rename e/d d"},
	{"a directory of another moves only with write permission in it",
		"mkdir pub 0777; chmod pub 0777; mkdir pub/theirs 0755; chown pub/theirs carol carol;",
		"as bob; rename pub/theirs t = EACCES; rename pub/theirs pub/t; rename pub/t pub/theirs;"
		"as carol; rename pub/theirs theirs; type theirs = d"},
	{"mkdir and rmdir by whom", NULL,
		"as carol; mkdir d/n 0755 = EACCES; rmdir d/sub = EACCES; rmdir e = 0; mkdir e 0755; owner e = "
		"61003:61003; as bob; mkdir d/n 0755 = EACCES; mkdir e/n 0755 = EACCES; as alice; mkdir d/n 0755;"
		"rmdir d/n; mkdir d/sub 0755 = EEXIST; rmdir d/sub = ENOTEMPTY; as carol; mkdir d/sub 0755 = EEXIST;"
		"mkdir d/in 0755 = EEXIST; create d/in 0644 = EEXIST; open d/in w,creat = EACCES; open d/in r,creat"},
	{"O_NOATIME and O_PATH", NULL,
		"as carol; open f r,noatime = EPERM; open f path; fd 1 f path; chmod #1 0600 = EBADF; as alice;"
		"open f r,noatime; as root; open f r,noatime"},
	{"access by real and effective user", "chmod f 0600; chmod x 0711; chmod d 0700;",
		"each root,alice,bob,carol { as $; access f r = 0|0|EACCES|EACCES; access f w = 0|0|EACCES|EACCES;"
		" access f x = EACCES|EACCES|EACCES|EACCES; access x x = 0|0|0|0; access x r = 0|0|EACCES|EACCES;"
		" access d x = 0|0|EACCES|EACCES; access d/in r = 0|0|EACCES|EACCES; eaccess d rwx = "
		"0|0|EACCES|EACCES; access none r = ENOENT|ENOENT|ENOENT|ENOENT; access dangling r = ENOENT;"
		" access l r = 0|0|EACCES|EACCES }"},
	{"extended attributes by whom",
		"chmod f 0644; chmod x 0622; mkdir st 01777; chmod st 01777;",
		"each carol,bob { as $; setxattr f user.a v = EACCES; getxattr f user.a = ENODATA; listxattr f;"
		" setxattr x user.a v; getxattr x user.a = EACCES; setxattr d user.a v = EACCES;"
		" setxattr f trusted.a v = EPERM; setxattr f security.a v = EPERM; setxattr st user.a v = EPERM;"
		" removexattr x user.a; removexattr f user.a = EACCES; setcap x = EPERM };"
		"as alice; setxattr f user.a v; getxattr f user.a = v; setxattr p user.a v = EPERM;"
		"setxattr l user.a v = EPERM; getxattr p user.a = ENODATA; setxattr d user.b w; listxattr d = user.b;"
		"setxattr f user.a x c = EEXIST; setxattr f user.z x r = ENODATA; removexattr f user.a;"
		"getxattr f user.a = ENODATA; setxattr f trusted.a v = EPERM; as root; setxattr f user.a v;"
		"setxattr f nonsense v = EOPNOTSUPP; setxattr f user. v = EINVAL; setxattr f user.@250 v;"
		"setxattr f user.@251 v = ERANGE; setxattr l user.a v = EPERM; setxattr s user.a v = EPERM"},
};

POSIX_AREA(posix_permissions, "permissions", checks);

/* --- sticky directories --- */

/* t is sticky and carol's; in it files and directories of alice, bob and carol. */
#define STICKY                                                                                         \
	"mkdir t 0777; chown t carol carol; chmod t 01777; each alice,bob,carol { create t/f$ 0666 $;" \
	" mkdir t/d$ 0777; chmod t/d$ 0777; mkdir t/e$ 0777; chmod t/e$ 0777; create t/d$/in 0666;"    \
	" symlink x t/l$; chown t/f$ $ $; chown t/d$ $ $; chown t/e$ $ $; lchown t/l$ $ $ };"          \
	"mkdir o 0777; chmod o 0777; create o/mine 0666; mkdir o/dir 0777; chown o/mine bob bob;"      \
	"chown o/dir bob bob;"

static const struct posix_check sticky_checks[] = {
	{"unlink and rmdir as another", STICKY,
		"as bob; unlink t/falice = EPERM; unlink t/fcarol = EPERM; rmdir t/ealice = EPERM; rmdir t/dalice"
		" = EPERM; unlink t/lalice = EPERM; unlink t/lcarol = EPERM; unlink t/fbob; rmdir t/ebob; unlink "
		"t/lbob; rmdir t/dbob = ENOTEMPTY; unlink t/dalice/in; unlink t/none = ENOENT; ls t"},
	{"unlink and rmdir as the directory's owner", STICKY,
		"as carol; each alice,bob,carol { unlink t/f$; rmdir t/e$; unlink t/l$; unlink t/d$/in; rmdir t/d$ "
		"}; ls t = -"},
	{"unlink and rmdir as root", STICKY,
		"each alice,bob,carol { unlink t/f$; rmdir t/e$; unlink t/l$; unlink t/d$/in; rmdir t/d$ }; ls t = -"},
	{"rename out as another", STICKY,
		"as bob; rename t/falice o/x = EPERM; rename t/falice t/y = EPERM; rename t/dalice o/x = EPERM;"
		"rename t/lalice t/y = EPERM; rename t/fbob t/y; rename t/y o/x; rename t/ebob o/e; rename t/dbob o/d;"
		"rename t/lbob o/l; ls o; ls t"},
	{"rename onto as another", STICKY,
		"as bob; rename o/mine t/falice = EPERM; rename o/dir t/ealice = EPERM; rename t/fbob t/falice = "
		"EPERM; rename t/ebob t/ealice = EPERM; rename o/mine t/fbob; rename o/dir t/ebob; rename t/fbob "
		"t/new; rename t/lbob t/lcarol = EPERM; ls t"},
	{"exchange as another", STICKY,
		"as bob; rename2 t/fbob t/falice exchange = EPERM; rename2 o/mine t/falice exchange = EPERM;"
		"rename2 t/falice o/mine exchange = EPERM; rename2 t/fbob o/mine exchange; rename2 t/ebob t/ealice "
		"exchange = EPERM; rename2 t/ebob o/dir exchange; owner t/fbob = 61002:61002"},
	{"rename as the directory's owner", STICKY,
		"as carol; rename t/falice t/fbob; rename t/ealice t/ebob; rename t/fbob o/x; rename t/ebob o/e;"
		"rename t/dalice t/z; ls t; ls o"},
	{"not sticky", STICKY "chmod t 0777;",
		"as bob; unlink t/falice; rename t/fcarol t/fbob; rmdir t/ealice; rename t/dcarol o/d; ls t"},
	{"writing and linking are not meant", STICKY,
		"as bob; ? put t/falice BOB; text t/falice; ? truncate t/falice 0; ? link t/falice t/k; create t/n 0644;"
		"mkdir t/m 0755; chmod t/falice 0600 = EPERM; ? unlink t/k; unlink t/n; rmdir t/m"},
	{"setting the bit", NULL,
		"chmod e 01777; mode e = 1777; as alice; chmod d 01755; mode d = 1755; chmod f 01644; mode f = 1644;"
		"as bob; rmdir e/x = ENOENT; mkdir n 01777; mode n = 1755; umask 0; mkdir m 01777; mode m = 1777;"
		"create s1 01666; mode s1 = 1666"},
	{"made by a user in a sticky directory", STICKY,
		"as alice; create t/n 0666; as bob; unlink t/n = EPERM; rename t/n t/nn = EPERM; open t/n rw,creat ="
		" EACCES; as alice; rename t/n t/nn; unlink t/nn"},
};

POSIX_AREA(posix_sticky, "sticky", sticky_checks);
