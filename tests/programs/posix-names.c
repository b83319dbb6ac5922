/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making and removing names: what is refused, and with which errno. */
#include "posix.h"

/* Every kind of object that a fixture has, then a name that is not there. */
#define ALL "f,x,d,e,l,dangling,g,p,c,s,d/in,d/sub,none"

static const struct posix_check checks[] = {
	{"unlink of each type", NULL,
		"each " ALL
		" { unlink $ = 0|0|EISDIR|EISDIR|0|0|0|0|0|0|0|EISDIR|ENOENT }; ls .; ls d"},
	{"rmdir of each type", NULL,
		"each " ALL " { rmdir $ = ENOTDIR|ENOTDIR|ENOTEMPTY|0|ENOTDIR|ENOTDIR|ENOTDIR|"
		"ENOTDIR|ENOTDIR|ENOTDIR|ENOTDIR|ENOTEMPTY|ENOENT }; ls ."},
	{"mkdir over each type", NULL,
		"each " ALL
		" { mkdir $ 0755 = EEXIST|EEXIST|EEXIST|EEXIST|EEXIST|EEXIST|EEXIST|EEXIST|"
		"EEXIST|EEXIST|EEXIST|EEXIST|0 }"},
	{"mknod, symlink and link over each type", NULL,
		"each f,d,e,l,dangling,g,p,c,s { mknod $ fifo 0644 = EEXIST; mknod $ reg 0644 = EEXIST;"
		" symlink x $ = EEXIST; link x $ = EEXIST; mknod $ chr 0644 1 3 = EEXIST }"},
	{"O_CREAT and O_EXCL over each type", NULL,
		"each f,d,e,l,dangling,g,p,c,s { open $ w,creat,excl = EEXIST };"
		"open f w,creat; open d w,creat = EISDIR; open d r,creat = EISDIR; open l w,creat;"
		"open dangling w,creat; type nowhere; open p w,creat = ENXIO; open s w,creat = ENXIO"},
	{"open of each type", NULL,
		"each " ALL " { open $ r = 0|0|0|0|0|ENOENT|0|0|0|ENXIO|0|0|ENOENT; open $ w = "
		"0|0|EISDIR|EISDIR|0|ENOENT|0|ENXIO|0|ENXIO|0|EISDIR|ENOENT; open $ rw = "
		"0|0|EISDIR|EISDIR|0|ENOENT|0|0|0|ENXIO|0|EISDIR|ENOENT }"},
	{"open flags on each type", NULL,
		"each " ALL
		" { open $ r,dir = ENOTDIR|ENOTDIR|0|0|ENOTDIR|ENOENT|ENOTDIR|ENOTDIR|ENOTDIR|"
		"ENOTDIR|ENOTDIR|0|ENOENT; open $ r,nofollow = 0|0|0|0|ELOOP|ELOOP|0|0|0|ENXIO|0|0|ENOENT;"
		"open $ path,nofollow = 0|0|0|0|0|0|0|0|0|0|0|0|ENOENT }"},
	{"open with O_TRUNC", NULL,
		"open f r,trunc; size f = 0; open x w,trunc; size x = 0; open d r,trunc = EISDIR;"
		"open d w,trunc = EISDIR; open none w,trunc = ENOENT; open g rw,trunc; size h = 0"},
	{"a new file of each kind of name", NULL,
		"each new,.hidden,a\\x0ab,\\xff\\xfe,\\sspace,-dash,*,~,a\\\\b,.wh,.wh.,.wh.x,.wh..wh..opq,... {"
		" create $ 0644 text; text $ = text; size $ = 4; mode $ = 0644 }; ls .;"
		"each new,.hidden,a\\x0ab,\\xff\\xfe,\\sspace,-dash,*,~,.wh,.wh.,.wh.x,.wh..wh..opq,... {"
		" rename $ t; type t = -; rename t $; unlink $; type $ = ENOENT }; ls ."},
	{"names that begin like whiteouts hide nothing", NULL,
		"create .wh.f 0644; mkdir .wh.d 0755; symlink x .wh.l; type f = -; type d = d; ls .;"
		"unlink .wh.f; type f = -; rmdir .wh.d; unlink .wh.l; ls .; mkdir e/k 0755;"
		"create d/.wh..wh..opq 0644; ls d; type d/in = -; unlink d/.wh..wh..opq; ls d"},
	{"a component that is no directory", NULL,
		"each f,l,p,c,g { open $/x r = ENOTDIR; create $/x 0644 = ENOTDIR; mkdir $/x 0755 = ENOTDIR;"
		" unlink $/x = ENOTDIR; rmdir $/x = ENOTDIR; symlink a $/x = ENOTDIR; link x $/x = ENOTDIR;"
		" mknod $/x fifo 0644 = ENOTDIR; rename $/x n = ENOTDIR; rename x $/x = ENOTDIR;"
		" truncate $/x 0 = ENOTDIR; chmod $/x 0644 = ENOTDIR; chown $/x - - = ENOTDIR;"
		" readlink $/x = ENOTDIR; utimens $/x now now = ENOTDIR; access $/x r = ENOTDIR;"
		" getxattr $/x user.a = ENOTDIR; type $/x = ENOTDIR }"},
	{"a component that is not there", NULL,
		"each none,dangling,d/none { open $/x r = ENOENT; create $/x 0644 = ENOENT; mkdir $/x 0755 = "
		"ENOENT; unlink $/x = ENOENT; rmdir $/x = ENOENT; symlink a $/x = ENOENT; link x $/x = ENOENT;"
		" mknod $/x fifo 0644 = ENOENT; rename $/x n = ENOENT; rename x $/x = ENOENT; truncate $/x 0 "
		"= ENOENT; chmod $/x 0644 = ENOENT; type $/x = ENOENT }"},
	{"an object that is not there", NULL,
		"each none,d/none { truncate $ 0 = ENOENT; chmod $ 0644 = ENOENT; chown $ - - = ENOENT;"
		" lchown $ - - = ENOENT; readlink $ = ENOENT; utimens $ now now = ENOENT; link $ n = ENOENT;"
		" rename $ n = ENOENT; access $ r = ENOENT; setxattr $ user.a b = ENOENT }"},
	{"trailing slashes", NULL,
		"mkdir n/ 0755; type n/ = d; rmdir n/; create m/ 0644 = EISDIR; open none/ w,creat = EISDIR;"
		"open f/ r = ENOTDIR; unlink f/ = ENOTDIR; unlink d/ = EISDIR; rmdir l/ = ENOTDIR;"
		"mknod q/ fifo 0644 = ENOENT; symlink f r/ = ENOENT; link f t/ = ENOENT; type f/ = ENOTDIR;"
		"type d/ = d; type l/ = ENOTDIR; rename f z/ = ENOTDIR; rename d z/; type z = d; rename z/ d;"
		"rename e/ d/ = ENOTEMPTY; type none/ = ENOENT; readlink l/ = ENOTDIR; readlink d/ = EINVAL;"
		"symlink d ld; type ld/ = d; rmdir ld/ = ENOTDIR; unlink ld/ = ENOTDIR; rename ld/ u = ENOTDIR;"
		"rename d ld/ = ENOTDIR; mkdir ld/ 0755 = EEXIST; unlink ld; truncate f/ 0 = ENOTDIR"},
	{"dots at the end", NULL,
		"rmdir . = EINVAL; rmdir d/. = EINVAL; rmdir d/.. = ENOTEMPTY; unlink . = EISDIR;"
		"unlink d/.. = EISDIR; mkdir . 0755 = EEXIST; mkdir d/.. 0755 = EEXIST; rename . x1 = EBUSY;"
		"rename d/. x1 = EBUSY; rename d/.. x1 = EBUSY; rename e d/. = EBUSY; rename e d/.. = EBUSY;"
		"rename f . = EBUSY; symlink a . = EEXIST; link f d/.. = EEXIST; open . r; open . w = EISDIR;"
		"open d/.. r,dir; type d/./in = -; type d/../f = -; create . 0644 = EEXIST; same . d/.. = yes"},
	{"the empty path", NULL,
		"each f { open \\x00 r = ENOENT; mkdir \\x00 0755 = ENOENT; unlink \\x00 = ENOENT; rename "
		"\\x00 a = ENOENT; rename f \\x00 = ENOENT; link f \\x00 = ENOENT; symlink \\x00 s1 = ENOENT;"
		" symlink a \\x00 = ENOENT; chmod \\x00 0644 = ENOENT; type \\x00 = ENOENT }"},
	{"link of each type", NULL,
		"each f,x,d,e,l,dangling,g,p,c,s { link $ n$ = 0|0|EPERM|EPERM|0|0|0|0|0|0; type n$ };"
		"same f nf = yes; nlink f = 2; nlink ng = 3; same g ng = yes; unlink f; text nf; nlink nf = 1;"
		"same h ng = yes; readlink nl = 1:f; unlink h; nlink g = 2; link g d/in = EEXIST; link g d/k;"
		"nlink d/k = 3"},
	{"link follows when asked", NULL,
		"linkfollow l n; type n = -; same f n = yes; link l m; type m = l; linkfollow dangling o = "
		"ENOENT; link dangling q; type q = l; nlink dangling = 2"},
	{"nlink goes with each name", NULL,
		"link f a; link f b; link a d/c; nlink f = 4; unlink f; nlink b = 3; rename b d/b; nlink a = 3;"
		"rename a d/c; nlink a = 3; unlink a; nlink d/c = 2; unlink d/b; nlink d/c = 1; ls d"},
	{"symlinks", NULL,
		"symlink f s1; readlink s1 = 1:f; size s1 = 1; mode s1 = 0777; symlink /abs/olute s2;"
		"readlink s2 = 10:/abs/olute; symlink ../../x s3; size s3 = 7; symlink \\xff\\x0a s4;"
		"readlink s4; type s4 = l; readlink f = EINVAL; readlink d = EINVAL; readlink p = EINVAL;"
		"readlink l = 1:f; rename l ll; readlink ll = 1:f; text ll"},
	{"symlinks that loop", NULL,
		"symlink a b; symlink b a; symlink self self; symlink d ld; symlink ld ld2;"
		"each a,self,a/x { open $ r = ELOOP; open $ w,creat = ELOOP; truncate $ 0 = ELOOP;"
		" chmod $ 0644 = ELOOP; chown $ - - = ELOOP; access $ r = ELOOP; utimens $ now now = ELOOP };"
		"mkdir a/x 0755 = ELOOP; unlink a/x = ELOOP; type ld2/in = -; text ld2/in = inner; unlink a;"
		"unlink b; unlink self"},
	{"a chain of symlinks", NULL,
		"symlink f s0; each 1 { symlink s0 s1; symlink s1 s2; symlink s2 s3; symlink s3 s4;"
		" symlink s4 s5; symlink s5 s6; symlink s6 s7; symlink s7 s8 }; text s8; put s8 CONTENT; text f;"
		"chmod s8 0600; mode f = 0600; truncate s8 3; size f = 3"},
	{"mknod of each type", NULL,
		"mknod n1 fifo 0644; type n1 = p; mknod n2 sock 0640; type n2 = s; mknod n3 reg 0604;"
		"type n3 = -; mode n3 = 0604; mknod n4 chr 0600 1 3; device n4 = 1:3; mknod n5 blk 0660 7 250;"
		"device n5 = 7:250; umask 0; mknod n7 none 0666; type n7 = -; mode n7 = 0666;"
		"mknod n6 chr 0666 4095 1048575; device n6 = 4095:1048575; mknod n8 dir 0755 = EPERM; bind n9;"
		"type n9 = s; ls ."},
	{"mknod as a user", NULL,
		"as alice; mknod n1 fifo 0644; mknod n2 sock 0644; mknod n3 reg 0644; mknod n4 chr 0644 1 3 = "
		"EPERM; mknod n5 blk 0644 7 0 = EPERM; owner n1 = 61001:61001; owner n2 = 61001:61001;"
		"bind n6; owner n6 = 61001:61001; ls ."},
	{"devices and FIFOs work", NULL,
		"fd 1 p rw; write 1 through; fd 2 p r; text c; open c w; fd 3 c rw; write 3 gone; pread 3 0 4"},
	{"make and remove again", NULL,
		"unlink f; type f = ENOENT; mkdir f 0700; type f = d; ls f = -; rmdir f; symlink x f;"
		"readlink f = 1:x; unlink f; create f 0600 new; text f = new; unlink f; mknod f fifo 0644;"
		"unlink f; type f = ENOENT; create f 0644; size f = 0; ls ."},
	{"remove a directory and make it again", NULL,
		"unlink d/in; unlink d/filled; unlink d/sub/deep; rmdir d/sub; ls d = -; rmdir d; type d/in = "
		"ENOENT; mkdir d 0755; ls d = -; type d/in = ENOENT; create d/in 0644 other; text d/in = other;"
		"mkdir d/sub 0700; ls d/sub = -; ls d = in,sub; unlink d/in; rmdir d/sub; rmdir d; create d 0644;"
		"type d = -; unlink d; mkdir d 0755; ls d = -"},
	{"a directory without a name", NULL,
		"unlink e/none = ENOENT; fd 1 e r,dir; cd e; rmdir ../e; create x1 0644 = ENOENT; mkdir x2 0755 ="
		" ENOENT; ls . ; open . r; symlink a b = ENOENT; type .. = d; chmod #1 0700; mode #1 = 0700"},
	{"a file without a name", NULL,
		"fd 1 f rw; unlink f; nlink #1 = 0; pread 1 0 7 = content; pwrite 1 0 CONTENT; pread 1 0 12;"
		"ftruncate 1 3; size #1 = 3; chmod #1 0600; mode #1 = 0600; chown #1 carol carol; owner #1 = "
		"61003:61003; utimens #1 1 2; mtime #1 = 2.000000000; linkfd 1 again = ENOENT; fsync 1"},
	{"a link to a file that has been removed", NULL,
		"type h; fd 1 g r; unlink g; linkfd 1 again; same h again = yes; nlink again = 2; unlink h;"
		"unlink again; linkfd 1 more = ENOENT"},
};

POSIX_AREA(posix_names, "names", checks);

/* --- files without a name --- */

static const struct posix_check tmpfile_checks[] = {
	{"gets a name or goes", NULL,
		"fd 1 d rw,tmpfile 0640; nlink #1 = 0; write 1 temporary; mode #1 = 0640; linkfd 1 named; text named"
		" = temporary; nlink named = 1; mode named = 0640; linkfd 1 second; nlink named = 2; fd 2 d "
		"rw,tmpfile,excl 0600; linkfd 2 never = ENOENT; linkfd 1 f = EEXIST; unlink named; unlink second;"
		"linkfd 1 third = ENOENT; open d r,tmpfile = EINVAL; open f rw,tmpfile = ENOTDIR; ls .; ls d"},
	{"whose it is", "mkdir t 0777; chown t alice alice; chmod t 02777;",
		"each root,alice,bob,carol { as $; fd 1 t rw,tmpfile 02755; owner #1 = 0:61001|61001:61001|"
		"61002:61001|61003:61001; mode #1 = 2755|2755|2755|0755; linkfd 1 t/n$; owner t/n$; mode t/n$; "
		"close 1; fd 1 d rw,tmpfile = 0|0|EACCES|EACCES; ? close 1 }"},
	{"its times and its directory's", NULL,
		"mark d; fd 1 d rw,tmpfile; moved d = -~c; mark #1; write 1 x; moved #1 = mc; mark #1 d; linkfd 1 d/n;"
		"moved #1 = c; moved d = mc; mark #1; unlink d/n; moved #1 = c; umask 0; fd 2 d rw,tmpfile 0666; mode "
		"#2 = 0666; umask 077; fd 3 d rw,tmpfile 0666; mode #3 = 0600"},
};

POSIX_AREA(posix_tmpfile, "tmpfile", tmpfile_checks);
