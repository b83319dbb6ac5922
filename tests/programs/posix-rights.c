/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ACLs; directories that are sticky for more than names; mountpoints; read-only file systems. */
#include "posix.h"

static const struct posix_check acl_checks[] = {
	{"who gets in", "chmod f 0600; setacl f access u::rw,u:carol:rw,g::-,m::rw,o::-;",
		"mode f = 0660; acl f access; as carol; text f; put f CAROL; access f rw; access f x = EACCES; as "
		"bob; open f r = EACCES; as alice; text f; as root; setacl f access u::rw,u:carol:rw,g::r,m::r,o::-;"
		"as carol; open f r; open f w = EACCES; as bob; open f r; open f w = EACCES; as root; chmod f 0600;"
		"acl f access; as carol; open f r = EACCES; as root; chmod f 0660; as carol; open f rw; as bob; open "
		"f r; open f w = EACCES"},
	{"groups", "setacl f access u::rw,g::-,g:bob:rw,m::rw,o::r;",
		"as bob; open f rw; as carol; open f r; open f w = EACCES; as root; setacl f access "
		"u::rw,g::-,g:bob:-,m::rw,o::rw; as bob; open f r = EACCES; as carol; open f rw; as root; setacl f "
		"access u::-,u:bob:r,g::rw,m::rwx,o::-; as bob; open f r; open f w = EACCES; as alice; open f r = "
		"EACCES"},
	{"who may set them", NULL,
		"each carol,bob { as $; setacl f access u::rw,u:bob:rw,g::r,m::rw,o::r = EPERM; removeacl f access "
		"= EPERM; setacl d default u::rwx,g::rx,o::rx = EPERM }; as alice; setacl f access "
		"u::rw,u:bob:rw,g::r,m::rw,o::r; acl f access; setacl d default u::rwx,u:bob:rwx,g::rx,m::rwx,o::-;"
		"acl d default; removeacl f access; acl f access = ENODATA; mode f; removeacl d default; acl d "
		"default = ENODATA; setacl f default u::rw,g::r,o::r = EACCES; setacl p access "
		"u::rw,u:bob:rw,g::r,m::rw,o::r; acl p access"},
	{"what is none", NULL,
		"setacl f access u::rw,g::r = EINVAL; setacl f access u::rw,u:bob:r,g::r,o::r = EINVAL; setacl f "
		"access u::rw,u:bob:r,u:bob:w,g::r,m::r,o::r; setacl f access o::r,u::rw,g::r = EINVAL; acl f access;"
		"setacl f access u::rwx,g::rx,o::x; acl f access = ENODATA; mode f = 0751"},
	{"what is inherited",
		"setacl d default u::rwx,u:carol:rwx,g::rx,m::rwx,o::-; chmod d 0777;",
		"each 022,077,0 { umask $; create d/f$ 0666; mode d/f$ = 0660; acl d/f$ access; mkdir d/d$ 0777; mode "
		"d/d$ = 0770; acl d/d$ access; acl d/d$ default; mknod d/p$ fifo 0666; acl d/p$ access; symlink a d/l$;"
		" create d/r$ 0400; acl d/r$ access; mode d/r$ = 0400; mkdir d/n$ 0700; acl d/n$ access; open d/o$ "
		"w,creat 0640; mode d/o$; acl d/o$ access }; as carol; open d/f022 rw; open d/f0 rw; create d/mine "
		"0600; acl d/mine access; owner d/mine = 61003:61003; fd 1 d rw,tmpfile 0666; mode #1; linkfd 1 d/t;"
		"acl d/t access; as bob; open d/f0 r = EACCES"},
	{"setgid and inheritance",
		"chmod d 02777; setacl d default u::rwx,g::rwx,g:carol:rwx,m::rwx,o::rx;",
		"as carol; create d/n 0666; owner d/n = 61003:61001; mode d/n = 0664; acl d/n access; mkdir d/k 0755;"
		"mode d/k = 2755; acl d/k default; acl d/k access; create d/k/f 0644; acl d/k/f access"},
	{"they stay over a copy-up",
		"setacl f access u::rw,u:carol:rw,g::-,m::rw,o::-; setacl d default "
		"u::rwx,u:carol:rwx,g::rx,m::rwx,o::-; setacl d access u::rwx,u:carol:rwx,g::-,m::rwx,o::-;"
		"setacl x access u::rwx,u:carol:x,g::-,m::x,o::-;",
		"acl f access; put f NEW; acl f access; mode f = 0660; as carol; open f rw; create d/n 0644; acl d/n "
		"access; acl d access; acl d default; exec x = 0; open x r = EACCES; as root; rename f k; acl k access;"
		"link k m; acl m access; chown k bob -; acl k access; utimens k 1 2; acl k access; drop 3; acl k access;"
		"truncate k 0; acl k access; rename d e/d; acl e/d default; chmod x 0755; acl x access; mode x = 0755"},
	{"the setgid bit goes with an ACL of who is not in the group",
		"chown f alice carol; chmod f 02755;"
		"chown x bob alice; chmod x 02755;",
		"as alice; setacl f access u::rwx,u:bob:r,g::rx,m::rx,o::-; mode f = 0750; as bob; setacl x access "
		"u::rwx,u:carol:r,g::rx,m::rx,o::-; mode x = 2750; as root; chmod f 02755; setacl f access "
		"u::rwx,g::rx,o::r; mode f = 2754"},
	{"times", NULL,
		"mark f d; setacl f access u::rw,u:carol:rw,g::-,m::rw,o::-; moved f = c; setacl d default "
		"u::rwx,u:carol:rwx,g::rx,m::rwx,o::-; moved d = c; mark f d; acl f access; moved f = -; removeacl f "
		"access; moved f = c; removeacl d default; moved d = c"},
	{"in directories", "setacl d access u::rwx,u:carol:rwx,g::-,m::rwx,o::-;",
		"as carol; create d/n 0644; unlink d/n; unlink d/in; rename d/filled d/g; as bob; ls d = EACCES; open "
		"d/g r = EACCES; unlink d/g = EACCES; create d/n 0644 = EACCES; access d x = EACCES; as carol; access "
		"d rwx; ls d"},
};

POSIX_AREA(posix_acls, "acls", acl_checks);

/* --- immutable and append-only --- */

static const struct posix_check flag_checks[] = {
	{"an immutable file", NULL,
		"flags f i; open f w = EPERM^0; open f rw = EPERM^0; open f w,append = EPERM^0; open f r,trunc = EPERM; open"
		" f r; unlink f = EPERM; rename f n = EPERM; rename x f = EPERM; link f n = EPERM; chmod f 0600 = "
		"EPERM; chown f bob - = EPERM; truncate f 0 = EPERM; utimens f 1 2 = EPERM; setxattr f user.a v = "
		"EPERM; text f; mode f = 0644; as alice; open f w = EPERM^0; unlink f = EPERM; as carol; open f w = EPERM~EACCES; as "
		"root; flags f -; put f NEW; text f; unlink f"},
	{"an append-only file", NULL,
		"flags f a; open f w = EPERM^0; open f rw = EPERM^0; open f w,append,trunc = EPERM; fd 1 f w,append; write "
		"1 more; text f; size f = 23; ftruncate 1 0 = EPERM; truncate f 0 = EPERM; unlink f = EPERM; rename f "
		"n = EPERM; link f n = EPERM; chmod f 0600 = EPERM; utimens f 1 2 = EPERM; fallocate 1 punch 0 4 = "
		"EPERM; as alice; open f w,append; open f w = EPERM^0; as root; flags f -; put f NEW; unlink f"},
	{"an immutable directory", NULL,
		"flags d i; create d/n 0644 = EPERM; mkdir d/n 0755 = EPERM; symlink a d/n = EPERM; mknod d/n fifo 0644"
		" = EPERM; link f d/n = EPERM; unlink d/in = EPERM; rmdir d/sub = EPERM; rename d/in d/out = EPERM;"
		"rename d/in in = EPERM; rename f d/f = EPERM; rename d n = EPERM; rmdir d = EPERM; chmod d 0700 = "
		"EPERM; put d/in NEW; text d/in; create d/sub/n 0644; ls d; flags d -; create d/n 0644; rename d n"},
	{"an append-only directory", NULL,
		"flags d a; create d/n 0644; mkdir d/k 0755; link f d/l; unlink d/n = EPERM; rmdir d/k = EPERM; rename "
		"d/n d/m = EPERM; rename f d/f; unlink d/f = EPERM; rename d n = EPERM; chmod d 0700 = EPERM; put d/in "
		"NEW; ls d; flags d -; unlink d/n; rmdir d/k"},
	{"who may set them", NULL,
		"as carol; flags f i = EPERM; flags f a = EPERM; as alice; flags f i = EPERM; flags f a = EPERM; flags "
		"f -; as root; flags f i; as alice; flags f - = EPERM; as root; flags f -; mark f; flags f a; moved f = c~-; flags f -"},
	{"what was opened before", NULL,
		"fd 1 f rw; flags f i; pwrite 1 0 con = EPERM~0; text f; ? ftruncate 1 3; chmod #1 0600 = EPERM; flags f -; "
		"ftruncate 1 2; size f = 2"},
};

POSIX_AREA(posix_flags, "flags", flag_checks);

/* --- sticky directories: what the kernel protects, as its settings are --- */

#define SHARED "mkdir t 0777; chown t carol carol; chmod t 01777;"

static const struct posix_check guard_checks[] = {
	{"symlinks",
		SHARED
		"symlink ../f t/l; lchown t/l alice alice; symlink ../f t/k; lchown t/k carol carol;"
		"chmod f 0666;",
		"each root,alice,bob,carol { as $; ? text t/l; ? open t/l w; ? text t/k; ? open t/k rw; readlink t/l;"
		" ? chmod t/l 0666; ? truncate t/l 5; ? exec t/l }"},
	{"O_CREAT on others' files and FIFOs",
		SHARED "create t/f 0666; chmod t/f 0666; chown t/f alice alice;"
		       "mknod t/p fifo 0666; chmod t/p 0666; chown t/p alice alice;",
		"each root,alice,bob,carol { as $; ? open t/f w,creat; ? open t/f w; ? open t/p rw,creat; ? open t/p rw }"},
	{"hard links",
		"create t1 0600; create t2 0666; chmod t2 0666; create t3 04755; create t4 02755;",
		"each alice,carol { as $; ? link t1 l1$; ? link t2 l2$; ? link t3 l3$; ? link t4 l4$; ? link f l5$;"
		" ? link d/in l6$ }"},
};

POSIX_AREA(posix_guards, "guards", guard_checks);

/* --- mountpoints --- */

static const struct posix_check mount_checks[] = {
	{"a mountpoint is busy", NULL,
		"mount e; rmdir e = EBUSY; rename e n = EBUSY; rename d e = EBUSY; rename2 d e exchange = EBUSY;"
		"create e/f 0644 x; link e/f f2 = EXDEV; rename e/f f2 = EXDEV; rename f e/f = EXDEV; link f e/g = "
		"EXDEV; fd 1 f r; linkfd 1 e/k = EXDEV; rename2 f e/f exchange = EXDEV; umount e; type e/f = ENOENT;"
		"rmdir e"},
	{"a bind mount", NULL,
		"bindmount d e; text e/in = inner; same d/in e/in = yes; link d/in e/k = EXDEV; rename d/in e/k = "
		"EXDEV; create e/n 0644 new; text d/n = new; rename e/n e/m; ls d = filled,in,m,sub; rename d d2;"
		"ls e; put d2/in INNER; text e/in = INNER; umount e; rename d2 d; ls e = -"},
	{"a file under a mount", NULL,
		"bindmount f x; text x; unlink x = EBUSY; rename g x = EBUSY; put x BOUND; text f; unlink f; text x; put"
		" x again; umount x; text x = #!/bin/true; type f = ENOENT"},
};

POSIX_AREA(posix_mounts, "mounts", mount_checks);

/* --- a file system that is read-only --- */

#define CHANGES                                                                                                  \
	"open f w = EROFS; open f rw = EROFS; open f r,trunc = EROFS; open f w,creat = EROFS; open f r,creat;"   \
	"open f w,creat,excl = EEXIST; create n 0644 = EROFS; mkdir n 0755 = EROFS; mkdir d 0755 = EEXIST;"      \
	"rmdir e = EROFS; rmdir none = EROFS; unlink f = EROFS; unlink none = EROFS; symlink a n = EROFS;"       \
	"symlink a f = EEXIST; link f n = EROFS; link f x = EEXIST; rename f n = EROFS; rename none n = EROFS;"  \
	"mknod n fifo 0644 = EROFS; mknod f fifo 0644 = EEXIST; truncate f 0 = EROFS; truncate none 0 = ENOENT;" \
	"utimens f now now = EROFS; utimens none 1 1 = ENOENT; open d rw,tmpfile = EROFS; text f; ls d;"

static const struct posix_check read_only_checks[] = {
	{"as root", NULL,
		"as root;" CHANGES
		"chmod f 0600 = EROFS; chown f bob bob = EROFS; lchown l bob bob = EROFS; access f w "
		"= EROFS; access d w = EROFS; access f r; setxattr f user.a v = EROFS; removexattr f user.a ="
		" EROFS; utimens f 1 2 = EROFS; setacl f access u::rw,g::r,o::r = EROFS; chmod none 0 = "
		"ENOENT; fd 1 p rw; write 1 x; pread 1 0 0; open c w; exec x = 0"},
	{"as the owner", NULL,
		"as alice;" CHANGES
		"chmod f 0600 = EROFS; access f w = EROFS; utimens f 1 2 = EROFS"},
	{"as another", NULL,
		"as carol; ? open f w; ? create n 0644; ? unlink d/in; ? mkdir d/n 0755; ? chmod f 0600; ? truncate f 0;"
		"? utimens f now now; ? utimens f 1 1; ? access f w; ? access f r; ? rename f n; ? create d/n 0644;"
		"? rmdir d/sub; ? link x n; ? setxattr f user.a v; ? chown f carol -; ? mknod n fifo 0644; text f"},
};

POSIX_AREA(posix_read_only, "read-only", read_only_checks);
