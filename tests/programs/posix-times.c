/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of mtime and ctime of a file and its directory move. atime is the mount's policy. */
#include "posix.h"

static const struct posix_check checks[] = {
	{"making a file", NULL,
		"each 1 { mark d; create d/n 0644; moved d = mc; mark d; mkdir d/m 0755; moved d = mc; mark d;"
		" symlink a d/s; moved d = mc; mark d; mknod d/p fifo 0644; moved d = mc; mark d d/n; link d/n "
		"d/k; moved d = mc; moved d/n = c; moved d/k d/n = c; mark d; open d/o w,creat; moved d = mc }"},
	{"removing", "mkdir d/old 0755; symlink a d/s; link d/in d/k; mknod d/p fifo 0644;",
		"mark d; unlink d/filled; moved d = mc; mark d; rmdir d/old; moved d = mc; mark d; unlink d/s;"
		"moved d = mc; mark d d/in; unlink d/k; moved d = mc; moved d/in = c; mark d; unlink d/p; moved d = "
		"mc; mark . d; unlink d/in; moved d = mc; moved . = -"},
	{"removing what is open", NULL,
		"fd 1 f r; mark #1 .; unlink f; moved #1 = c; moved . = mc; fd 2 x r; mark #2 g; rename g x; moved "
		"#2 = c; moved x g = c; fd 3 e r,dir; mark #3; rmdir e; moved #3"},
	{"rename of a file in a directory", NULL,
		"mark d d/in; rename d/in d/out; moved d = mc; moved d/out d/in = c; mark d d/out d/filled;"
		"rename d/out d/filled; moved d = mc; moved d/filled d/out = c; mark d d/filled; rename d/filled "
		"d/filled; moved d = -; moved d/filled = -"},
	{"rename of a file to another directory", NULL,
		"mark d e d/in; rename d/in e/in; moved d = mc; moved e = mc; moved e/in d/in = c; link e/in e/k;"
		"mark e e/in; rename e/in e/k; moved e = -; moved e/in = -; mark . d f; rename f d/f; moved . = mc;"
		"moved d = mc; moved d/f f = c"},
	{"rename of a new directory", NULL,
		"mkdir a 0755; mkdir b 0755; mkdir a/n 0755; create a/n/f 0644; mark a b a/n; rename a/n b/n;"
		"moved a = mc; moved b = mc; moved b/n a/n; mark b b/n; rename b/n b/m; moved b = mc; moved b/m b/n"
		" = c"},
	{"rename of a directory of below", NULL,
		"mark . e d; rename d n; moved . = mc; moved n d = c; mark . e n; rename n e/n; moved . = mc; moved"
		" e = mc; moved e/n n; mark e/n e/n/sub e/n/in; rename e/n e/m; moved e/m e/n = c; moved e/m/sub "
		"e/n/sub = -; moved e/m/in e/n/in = -"},
	{"rename with EXCHANGE", NULL,
		"mark . d f d/in; rename2 f d/in exchange; moved . = mc; moved d = mc; moved f d/in = c; moved d/in "
		"f = c; mark . f x; rename2 f x exchange; moved . = mc; moved f x = c; moved x f = c"},
	{"write", NULL,
		"fd 1 f rw; mark f .; moved f = -; write 1 x; moved f = mc; moved . = -; mark f; pwrite 1 100 yy;"
		"moved f = mc; mark f; moved f = -; close 1; moved f = -; fd 2 x w,append; mark x; write 2 z; moved "
		"x = mc; mark x; fsync 2; moved x = -; close 2; moved x = -"},
	/* A copy-up is a new inode, whose ctime nobody can set. */
	{"opening moves nothing", NULL,
		"mark f d .; fd 1 f rw; moved f = -~c; close 1; fd 1 f r; pread 1 0 5; moved f = -~c; close 1; open "
		"f rw,append; moved f = -~c; open f w,creat; moved f = -~c; moved . = -; ls d; moved d = -; access "
		"f r; moved f = -~c; exec x; readlink l; text l; moved . = -"},
	{"truncate", NULL,
		"mark f .; truncate f 3; moved f = mc; mark f; truncate f 3; moved f = mc~-; mark f; truncate f 100; moved f"
		" = mc; fd 1 f rw; mark f; ftruncate 1 10; moved f = mc; mark f; ftruncate 1 10; moved f = mc;"
		"mark f .; open f w,trunc; moved f = mc; mark f; open f w,trunc; moved f = mc"},
	{"the first truncate of a file", NULL,
		"mark f g x; truncate f 19; moved f = mc~-; truncate x 11; moved x = mc~-; fd 1 g rw; ftruncate 1 6; moved g"},
	{"fallocate", NULL,
		"fd 1 f rw; mark f; fallocate 1 0 0 8192; moved f = mc; mark f; fallocate 1 punch 0 4096; moved f ="
		" mc; mark f; fallocate 1 keep 8192 8192; moved f = mc; mark f; fallocate 1 zero 0 100; moved f = mc;"
		"mark f; posix_fallocate 1 0 100; moved f"},
	{"copy_file_range", NULL,
		"fd 1 f r; fd 2 x w; mark f x; copyrange 1 2 7 = 7; moved x = mc; moved f = -"},
	{"writing through a mapping", NULL,
		"fd 1 f rw; mark f; mapwrite 1 0 NEW; moved f = mc; mark f; mapwrite 1 2 MORE; moved f = mc; text f;"
		"mark f; close 1; moved f = -"},
	{"chmod, chown", NULL,
		"each f,d,p,d/in,d/sub { mark $ .; chmod $ 0700; moved $ = c; mark $ .; chmod $ 0700; moved $ = c;"
		" mark $ .; chown $ bob bob; moved $ = c; mark $ .; chown $ - -; moved $ = c; moved . = - };"
		"mark l .; lchown l bob bob; moved l = c; moved . = -; mark g; chmod h 0600; moved g = c"},
	{"extended attributes", NULL,
		"each f,d,d/in { mark $ .; setxattr $ user.a v; moved $ = c; mark $; getxattr $ user.a; listxattr $;"
		" moved $ = -; setxattr $ user.a w; moved $ = c; mark $; removexattr $ user.a; moved $ = c; mark $;"
		" removexattr $ user.a = ENODATA; moved $ = - }; mark d d/in; setxattr d/in user.b v;"
		"moved d = -"},
	{"failures move nothing", NULL,
		"mark . d e f x d/in; mkdir d 0755 = EEXIST; unlink d = EISDIR; rmdir d = ENOTEMPTY; rmdir f = "
		"ENOTDIR; unlink none = ENOENT; create f 0644 = EEXIST; open f w,creat,excl = EEXIST; link f x = "
		"EEXIST; symlink a f = EEXIST; rename f d = EISDIR; rename d f = ENOTDIR; rename e d = ENOTEMPTY;"
		"rename none x = ENOENT; rename2 f x noreplace = EEXIST; rename2 f none exchange = ENOENT; rename d "
		"d/sub/x = EINVAL; truncate d 0 = EISDIR; truncate f -1 = EINVAL; removexattr f user.a = ENODATA;"
		"setxattr f user.a v r = ENODATA; as carol; chmod f 0 = EPERM; chown f carol - = EPERM; truncate f "
		"0 = EACCES; utimens f 1 1 = EPERM; open f w = EACCES; create d/n 0644 = EACCES; unlink d/in = "
		"EACCES; mkdir d/n 0755 = EACCES; rename d/in d/out = EACCES; rmdir d/sub = EACCES; as root;"
		"moved . = -; moved d = -; moved e = -; moved f = -; moved x = -; moved d/in = -"},
	{"a directory's mtime survives its copy-up",
		"utimens d 100 200.5; utimens d/sub 300 400.000000007;",
		"mtime d = 200.000000005; chmod d/sub/deep 0600; mtime d = 200.000000005; mtime d/sub = "
		"400.000000007; put d/in INNER; mtime d = 200.000000005; setxattr d/filled user.a v; mtime d = "
		"200.000000005; chmod d/sub 0700; mtime d/sub = 400.000000007; mtime d = 200.000000005; fd 1 d/in "
		"rw; ftruncate 1 2; utimens d/in 1 2; mtime d = 200.000000005; create d/sub/n 0644; mtime d = "
		"200.000000005"},
	{"a file's times survive a copy-up",
		"utimens f 100.1 200.000000002; lutimens l 5 6; utimens p 7 8;",
		"chmod f 0600; mtime f = 200.000000002; chown f bob -; mtime f = 200.000000002; rename f "
		"k; mtime k = 200.000000002; link k d/k; mtime d/k = 200.000000002; rename l ll; mtime ll = "
		"6.000000000; chmod p 0600; mtime p = 8.000000000; lchown ll bob bob; mtime ll = 6.000000000"},
	{"the parents above a change stay as they are", NULL,
		"mark . d d/sub e; create d/sub/n 0644; moved d/sub = mc; moved d = -; moved . = -; mark . d d/sub;"
		"put d/sub/deep DEEP; moved d/sub = -; moved d = -; moved . = -; mark . d d/sub; unlink d/sub/deep;"
		"moved d/sub = mc; moved d = -; moved . = -; mark . d d/sub; rename d/sub/n d/n; moved d/sub = mc;"
		"moved d = mc; moved . = -"},
	{"ctime goes forward", NULL,
		"each f,d,g,d/in { mark $; utimens $ 1 1; moved $ = Mc; mark $; utimens $ 9999999999 1 ; moved $ = "
		"c; chmod $ 0755; moved $ = c; mark $; utimens $ now now; moved $ = mc }; mark l; lutimens l 1 1;"
		"moved l = Mc; mark f; link f n; moved f = c; mark f; rename f m; moved m f = c"},
};

POSIX_AREA(posix_times, "times", checks);

/* --- times that somebody sets --- */

#define KEPT_STAMPS                                                              \
	"0,1,1.000000001,1.999999999,-1,-1.5,-2147483648,2147483647,2147483648," \
	"4294967295,4294967296,9999999999.123456789,15032385535"
/* Too early or too late for ext4. Where the kernel keeps mtime of files it knows no such bounds. */
#define OTHER_STAMPS "-2147483649,15032385536,99999999999,-99999999999"
#define STAMPS	     KEPT_STAMPS "," OTHER_STAMPS

static const struct posix_check explicit_checks[] = {
	{"each stamp on a file", NULL,
		"each " KEPT_STAMPS " { utimens f $ $; atime f; mtime f }; each " OTHER_STAMPS
		" { utimens f $ $; atime f }"},
	{"each stamp on a directory", NULL, "each " STAMPS " { utimens d $ $; atime d; mtime d }"},
	{"each stamp on a symlink", NULL,
		"each " STAMPS " { lutimens l $ $; atime l; mtime l }; mtime f"},
	{"each stamp on a FIFO, by a name", NULL,
		"each " STAMPS " { utimens p $ 5; atime p; mtime p }"},
	{"each stamp by a descriptor", NULL,
		"fd 1 f r; each " KEPT_STAMPS
		" { utimens #1 $ $; atime #1; mtime f }; each " OTHER_STAMPS
		" { utimens #1 $ $; atime #1 }; fd 2 d r,dir; utimens #2 1 2.3;"
		"mtime d = 2.000000003; unlink f; utimens #1 8 9.1; mtime #1 = 9.000000001"},
	{"stamps of below",
		"each " STAMPS
		" { create t$ 0644 x; utimens t$ $ $; mkdir u$ 0755; utimens u$ $ $ };",
		"each " STAMPS
		" { mtime t$; mtime u$; chmod t$ 0600; chmod u$ 0700; mtime t$; mtime u$ }"},
	{"one stamp and the other not", NULL,
		"utimens f 10 20; utimens f omit 30; atime f = 10.000000000; mtime f = 30.000000000; utimens f 40 "
		"omit; atime f = 40.000000000; mtime f = 30.000000000; utimens f omit omit; mtime f = 30.000000000;"
		"atime f = 40.000000000; mark f; utimens f omit omit; moved f; mark f; utimens f omit now; moved f ="
		" mc; atime f = 40.000000000; mark f; utimens f now omit; moved f = c; mark f; utimens f 1 omit;"
		"moved f = c; mark f d; utimens f now now; moved f = mc; touch d; moved d = mc"},
	{"each of nothing but its access time", NULL,
		"each f,d,p,g { utimens $ 50 omit; atime $ = 50.000000000; mark $; utimens $ 60 omit; moved $ = c }"},
	{"nanoseconds that are none", NULL,
		"utimens f 1.1000000000 1 = EINVAL; utimens f 1 1.1000000000 = EINVAL; utimens f 1 1.-1 = EINVAL;"
		"utimens none 1 1 = ENOENT; utimens dangling 1 1 = ENOENT; lutimens dangling 1 1"},
};

POSIX_AREA(posix_times_explicit, "times-explicit", explicit_checks);
