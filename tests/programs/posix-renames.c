/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rename(2) and its flags. */
#include "posix.h"

#define KINDS "f,x,d,e,l,dangling,g,p,c,s"

static const struct posix_check checks[] = {
	{"rename of each type", NULL,
		"each " KINDS
		" { rename $ n$; type n$; type $ = ENOENT; owner n$ = 61001:61001 }; ls .;"
		"each " KINDS " { rename n$ $ }; ls .; text d/sub/deep = deep; text f"},
	{"rename into another directory and back", NULL,
		"each " KINDS " { rename $ d/n$ = 0|0|EINVAL|0|0|0|0|0|0|0 }; ls d; ls .;"
		"each f,x,e,l,dangling,g,p,c,s { rename d/n$ $ }; ls d; ls .; same g h = yes; nlink g = 2"},
	{"a file over each type", NULL,
		"each " KINDS
		" { create t 0644 over; rename t $ = 0|0|EISDIR|EISDIR|0|0|0|0|0|0; type $;"
		" unlink t = ENOENT|ENOENT|0|0|ENOENT|ENOENT|ENOENT|ENOENT|ENOENT|ENOENT }; text f = over"},
	{"a directory over each type", NULL,
		"each " KINDS " { mkdir t 0755; create t/k 0644 kept; rename t $ = "
		"ENOTDIR|ENOTDIR|ENOTEMPTY|0|ENOTDIR|ENOTDIR|ENOTDIR|ENOTDIR|ENOTDIR|ENOTDIR; type $;"
		" open t/k rw,trunc = 0|0|0|ENOENT|0|0|0|0|0|0; unlink t/k = 0|0|0|ENOENT|0|0|0|0|0|0;"
		" rmdir t = 0|0|0|ENOENT|0|0|0|0|0|0 }; text e/k = kept; ls e = k"},
	{"one of below over one of below", NULL,
		"type h; rename f x; text x; type f = ENOENT; rename x g; nlink h = 1; text h = linked; rename h l;"
		"type l = -; rename e d/sub = ENOTEMPTY; unlink d/sub/deep; rename e d/sub; ls d; ls d/sub = -;"
		"rename p c; type c = p; rename s c; type c = s; ls ."},
	{"onto itself, and onto a link of itself", NULL,
		"rename f f; text f; rename d d; rename g h; type g = -; type h = -; nlink g = 2; rename l l;"
		"link f k; rename f k; type f = -; type k = -; ls .; rename2 f f noreplace = EEXIST;"
		"rename2 f f exchange; rename2 g h exchange; nlink g = 2"},
	{"a directory into itself", NULL,
		"rename d d/x = EINVAL; rename d d/sub/x = EINVAL; rename d d/sub = EINVAL; rename d/sub d = "
		"ENOTEMPTY; rename d/sub/deep d = ENOTEMPTY; rename2 d d/sub exchange = EINVAL;"
		"rename2 d/sub d exchange = EINVAL; type d/sub = d"},
	{"a new directory", NULL,
		"mkdir n 0750; create n/a 0644 a; mkdir n/b 0755; symlink a n/c; rename n m; text m/a = a; ls m;"
		"mode m = 0750; rename m d/m; text d/m/a = a; rename d/m/b d/m/bb; rename d/m m; ls m; ls d;"
		"rename m e; ls e = a,bb,c; text e/c = a"},
	{"a directory of below", NULL,
		"rename d n; text n/in = inner; text n/sub/deep = deep; type d = ENOENT; ls n; create n/new 0644 x;"
		"rename n/in n/out; text n/out = inner; unlink n/filled; ls n; rename n d; ls d; text d/new = x;"
		"type n = ENOENT; text d/sub/deep = deep"},
	{"a directory of below, chained", NULL,
		"rename d e/d; rename e/d/sub s1; rename s1 e/d/s2; text e/d/s2/deep = deep; rename e n;"
		"text n/d/s2/deep = deep; text n/d/in = inner; mkdir d 0755; ls d = -; create d/in 0644 other;"
		"text d/in = other; rename d/in n/d/in; text n/d/in = other; rmdir d; rename n/d d; ls d; ls n = -"},
	{"a directory of below over an empty one", NULL,
		"rename d e; ls e; text e/sub/deep = deep; type d = ENOENT; mkdir d 0755; ls d = -; rename e/sub d;"
		"ls d = deep; ls e; text d/deep = deep"},
	{"NOREPLACE", NULL,
		"each f,x,d,e,l,g,p { rename2 c $ noreplace = EEXIST; rename2 d $ noreplace = EEXIST };"
		"rename2 f new noreplace; type f = ENOENT; text new; rename2 none new noreplace = ENOENT;"
		"rename2 d/in in noreplace; text in = inner; rename2 e d/e noreplace; type d/e = d"},
	{"EXCHANGE of files", NULL,
		"rename2 f x exchange; text f; text x; mode f = 0755; mode x = 0644; rename2 f d/in exchange;"
		"text f = inner; text d/in; rename2 f none exchange = ENOENT; rename2 none f exchange = ENOENT;"
		"rename2 l p exchange; type l = p; type p = l; readlink p = 1:f; rename2 g c exchange; type g = c;"
		"nlink c = 2; same c h = yes"},
	{"EXCHANGE with directories", NULL,
		"mkdir n 0700; create n/a 0600 a; rename2 n f exchange; type f = d; ls f = a; text n; rename2 e n "
		"exchange; type n = d; type e = -; ls n = -; rename2 d f exchange; ls d = a; ls f; text f/in = inner;"
		"text f/sub/deep = deep; rename2 d f exchange; ls f = a; ls d; rename2 d/sub e exchange; ls e = deep;"
		"type d/sub = -"},
	{"flags that are none", NULL,
		"rename2 f n noreplace,exchange = EINVAL; rename2 f x whiteout,exchange = EINVAL;"
		"rename2 f n 8 = EINVAL; rename2 f n 0x80000000 = EINVAL; type f = -"},
	{"over one that is open", NULL,
		"fd 1 x rw; rename f x; nlink #1 = 0; pread 1 0 11 = #!/bin/true; pwrite 1 0 changed; text x;"
		"fd 2 d/in r; rename x d/in; pread 2 0 5 = inner; nlink #2 = 0; fd 3 e r,dir; mkdir n 0755;"
		"rename n e; chmod #3 0711; mode #3 = 0711; mode e = 0755"},
	{"while it is open", NULL,
		"fd 1 f rw; fd 2 f r; rename f d/f; pwrite 1 0 CONTENT; pread 2 0 10; text d/f; rename d/f k;"
		"pwrite 1 0 Content; text k; chmod #2 0600; mode k = 0600; ftruncate 1 2; size k = 2; unlink k;"
		"pwrite 1 0 ok; pread 2 0 9 = ok"},
	{"a working directory is moved", NULL,
		"cd d/sub; rename ../../e ../e; type ../e = d; rename ../sub ../moved; text deep = deep; type ../in"
		" = -; create new 0644 n; text ../moved/new = n; rename ../moved ../../top; type ../f = -;"
		"text deep = deep; ls ."},
	{"of and over hard links", NULL,
		"rename g k; nlink h = 2; same k h = yes; rename f h; nlink k = 1; text k = linked; link k m;"
		"rename k d/k; nlink m = 2; rename m d/in; nlink d/in = 2; same d/in d/k = yes; text d/in = linked;"
		"unlink d/k; nlink d/in = 1"},
	{"in and out of sight", NULL,
		"unlink f; rename x f; text f = #!/bin/true; unlink f; type f = ENOENT; rename d/in f; text f = "
		"inner; rename f d/in; ls d; type f = ENOENT; rename e f; type f = d; ls f = -; rmdir f; symlink a f"},
};

POSIX_AREA(posix_renames, "renames", checks);
