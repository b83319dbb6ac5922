/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open files: content, sizes, holes, mappings. And what has a limit. */
#include "posix.h"

static const struct posix_check checks[] = {
	{"reading and writing by access mode", NULL,
		"fd 1 f r; write 1 x = EBADF; pread 1 0 7 = content; fd 2 f w; pread 2 0 7 = EBADF; write 2 CON;"
		"pread 1 0 7 = CONtent; fd 3 f rw; pread 3 0 7; pwrite 3 0 con; fd 4 f path; write 4 x = EBADF;"
		"pread 4 0 1 = EBADF; ftruncate 1 0 = EINVAL; ftruncate 4 0 = EBADF; fallocate 1 0 0 10 = EBADF;"
		"pread 1 -1 1 = EINVAL; pwrite 2 -1 x = EINVAL"},
	{"directories are not written", NULL,
		"fd 1 d r; write 1 x = EBADF; pread 1 0 1 = EISDIR; ftruncate 1 0 = EINVAL; fallocate 1 0 0 1 = "
		"EBADF; fsync 1; map 1 r shared = ENODEV"},
	{"appending", NULL,
		"fd 1 f w,append; write 1 end; size f = 22; pwrite 1 0 more; size f = 26; text f; seek 1 0 set;"
		"write 1 last; size f = 30; fd 2 f rw; pwrite 2 40 z; write 1 again; size f = 46; text f"},
	{"truncating shows zeros", NULL,
		"truncate f 5; truncate f 12; text f; size f = 12; fd 1 f rw; pwrite 1 20 x; text f; ftruncate 1 0;"
		"text f = -; ftruncate 1 8; pread 1 0 8; truncate d/in 4096; size d/in = 4096; text d/in; truncate "
		"g 3; text h = lin; truncate h 0; size g = 0"},
	{"sizes are seen at once", NULL,
		"fd 1 f r; fd 2 f rw; pwrite 2 100 x; size #1 = 101; seek 1 0 end = 101; pread 1 98 10; ftruncate 2 "
		"4; size #1 = 4; pread 1 0 10 = cont; seek 1 0 end = 4; fallocate 2 0 0 50; size #1 = 50; size f = "
		"50; fd 3 f r,trunc; size #1 = 0; pread 1 0 10 = -; seek 1 0 end = 0"},
	{"fallocate", NULL,
		"fd 1 f rw; fallocate 1 0 0 100; size f = 100; fallocate 1 keep 0 1M; size f = 100; fallocate 1 "
		"punch 0 4; text f; fallocate 1 zero 2 20; text f; fallocate 1 zero 0 200; size f = 200; fallocate "
		"1 zero-keep 0 400; size f = 200; fallocate 1 0 -1 1 = EINVAL; fallocate 1 0 0 0 = EINVAL; fallocate"
		" 1 0 0 -1 = EINVAL; fallocate 1 punch-only 0 1 = EOPNOTSUPP; posix_fallocate 1 0 1000; size f = "
		"1000; posix_fallocate 1 0 10; size f = 1000; posix_fallocate 1 0 0 = EINVAL; posix_fallocate 1 -1 1"
		" = EINVAL"},
	{"fallocate that shifts", NULL,
		"fd 1 f rw; ftruncate 1 12k; pwrite 1 4k four; pwrite 1 8k eight; fallocate 1 collapse 0 4k = "
		"0~EOPNOTSUPP; fallocate 1 insert 0 4k = 0~EOPNOTSUPP; size f = 12288; pread 1 8k 5 = eight;"
		"fallocate 1 collapse 0 100 = EINVAL~EOPNOTSUPP; fallocate 1 insert 20k 4k = EINVAL~EOPNOTSUPP"},
	{"holes", NULL,
		"fd 1 n rw,creat; ftruncate 1 1M; seek 1 0 data = ENXIO; seek 1 0 hole = 0; pwrite 1 512k x; seek 1 "
		"0 data = 524288; seek 1 512k hole = 528384; seek 1 600k data = ENXIO; seek 1 1M hole = ENXIO; seek "
		"1 1M data = ENXIO; seek 1 -1 data = ENXIO; fallocate 1 punch 512k 4k; fsync 1; seek 1 0 data = ENXIO"},
	{"the hole at the end", NULL,
		"fd 1 f r; seek 1 0 data = 0; seek 1 0 hole = 19; seek 1 18 data = 18; seek 1 19 data = ENXIO; seek "
		"1 19 hole = ENXIO; seek 1 100 hole = ENXIO; fd 2 f rw; seek 2 0 hole = 19"},
	{"seeking", NULL,
		"fd 1 f rw; seek 1 5 set = 5; seek 1 5 cur = 10; seek 1 -3 end = 16; seek 1 -1 set = EINVAL; seek 1 "
		"-100 cur = EINVAL; seek 1 100 end = 119; write 1 x; size f = 120; fd 2 p rw; seek 2 0 set = ESPIPE;"
		"fd 3 d r,dir; seek 3 0 set = 0"},
	{"copy_file_range", NULL,
		"fd 1 f r; fd 2 x rw; copyrange 1 2 5 = 5; text x; fd 3 n w,creat; copyrange 1 3 100 = 19; text n;"
		"copyrange 1 3 0 = 0; copyrange 2 1 5 = EBADF; fd 4 d r,dir; copyrange 4 3 5 = EISDIR; fd 5 f "
		"rw,append; copyrange 2 5 5 = EBADF; copyrange 2 2 5 = EINVAL; fd 6 p rw; copyrange 6 3 5 = EINVAL"},
	{"mapping", NULL,
		"fd 1 f r; map 1 r shared; map 1 rw shared = EACCES; map 1 rw private; fd 2 f w; map 2 r shared = "
		"EACCES; map 2 w shared = EACCES; fd 3 f rw; map 3 rw shared; fd 4 f path; map 4 r shared = EBADF;"
		"mapwrite 3 0 MAP; text f; pread 1 0 7 = MAPtent; unlink f; mapwrite 3 0 map; pread 1 0 3 = map"},
	{"a file open twice, written by both", NULL,
		"fd 1 f r; fd 2 f rw; fd 3 f rw; pwrite 2 0 AA; pwrite 3 2 BB; pread 1 0 8; ftruncate 3 3; pread 2 0"
		" 8; pwrite 2 3 CC; pread 1 0 8; close 2; pwrite 3 0 D; pread 1 0 8; text f"},
	{"O_SYNC and O_DIRECT are taken", NULL,
		"fd 1 f rw,sync; pwrite 1 0 sync; text f; open f r,direct; open f rw,direct; open d/in w,direct,creat;"
		"open n rw,direct,creat,excl; fd 2 n w; write 2 text; text n = text"},
	{"extended attributes stay with their file",
		"setxattr f user.a below; setxattr d user.d dir;",
		"getxattr f user.a = below; listxattr f = user.a; chmod f 0600; getxattr f user.a = below; rename f "
		"k; getxattr k user.a = below; create f 0644; listxattr f = -; link k m; setxattr m user.b v; "
		"listxattr k; getxattr d user.d = dir; create d/n 0644; getxattr d user.d = dir; removexattr d "
		"user.d; listxattr d = -; removexattr k user.a; listxattr k = user.b; rename k f; listxattr f = user.b"},
	{"attributes in user.overlay's name are a user's own", NULL,
		"setxattr f user.overlay.opaque y; getxattr f user.overlay.opaque = y; listxattr f = "
		"user.overlay.opaque; setxattr d user.overlay.opaque y; ls d; getxattr d user.overlay.opaque = y;"
		"removexattr d user.overlay.opaque; ls d; setxattr e user.overlay.whiteout v; type e = d"},
};

POSIX_AREA(posix_files, "files", checks);

/* --- limits --- */

static const struct posix_check limit_checks[] = {
	{"long names", NULL,
		"create @255 0644 x; text @255 = x; rename @255 d/@255; unlink d/@255; mkdir @255 0755; create "
		"@255/@255 0644; unlink @255/@255; rmdir @255; symlink a @255; unlink @255; mknod @255 fifo 0644;"
		"unlink @255; link f @255; nlink f = 2; rename @255 n; each @256,@257,@300,@1024,@1025,@4000 { "
		"create $ 0644 = ENAMETOOLONG }"},
	{"names that are too long, each call", NULL,
		"each @256,d/@256,@256/x,none/@256 { open $ r = ENAMETOOLONG|ENAMETOOLONG|ENAMETOOLONG|ENOENT };"
		"mkdir @256 0755 = ENAMETOOLONG; rmdir @256 = ENAMETOOLONG; unlink @256 = ENAMETOOLONG; symlink a "
		"@256 = ENAMETOOLONG; link f @256 = ENAMETOOLONG; link @256 n = ENAMETOOLONG; rename f @256 = "
		"ENAMETOOLONG; rename @256 n = ENAMETOOLONG; rename2 f @256 noreplace = ENAMETOOLONG; rename2 f @256"
		" exchange = ENAMETOOLONG; mknod @256 fifo 0644 = ENAMETOOLONG; chmod @256 0644 = ENAMETOOLONG;"
		"chown @256 - - = ENAMETOOLONG; truncate @256 0 = ENAMETOOLONG; utimens @256 now now = ENAMETOOLONG;"
		"access @256 r = ENAMETOOLONG; readlink @256 = ENAMETOOLONG; type @256 = ENAMETOOLONG; getxattr @256"
		" user.a = ENAMETOOLONG; exec @256 = ENAMETOOLONG; bind @100; type f = -"},
	{"long paths", NULL,
		"type @p4095:f = -; type @p4096:f = ENAMETOOLONG; open @p4095:f r; open @p4096:f r = ENAMETOOLONG;"
		"create @p4095:n 0644; unlink @p4095:n; mkdir @p4095:n 0755; rmdir @p4095:n; rename @p4095:f "
		"@p4095:k; rename k f; each unlink { unlink @p4096:f = ENAMETOOLONG; mkdir @p4096:n 0755 = "
		"ENAMETOOLONG; rename f @p4096:n = ENAMETOOLONG; link f @p4096:n = ENAMETOOLONG; symlink a "
		"@p4096:n = ENAMETOOLONG; truncate @p4096:f 0 = ENAMETOOLONG; chmod @p4096:f 0 = ENAMETOOLONG }"},
	{"long targets of symlinks", NULL,
		"symlink @p4095:f s1; size s1 = 4095; readlink s1; text s1; symlink @p4096:f s2 = ENAMETOOLONG;"
		"symlink @59 s3; size s3 = 59; symlink @60 s4; size s4 = 60; rename s1 d/s1; readlink d/s1; chmod "
		"d/s1 0600 = ENOENT; symlink @256 s5; open s5 r = ENAMETOOLONG; open s5 w,creat = ENAMETOOLONG"},
	{"a deep tree", NULL,
		"each 1 { mkdir @200 0755; cd @200; mkdir @200 0755; cd @200; mkdir @200 0755; cd @200; mkdir @200 "
		"0755; cd @200; mkdir @200 0755; cd @200; mkdir @200 0755; cd @200; mkdir @200 0755; cd @200;"
		" create f 0644 deep; text f = deep; rename f g; chmod g 0600; link g h; nlink g = 2; unlink h;"
		" cd ../../../../../../..; type @200/@200/@200/@200/@200/@200/@200/g = - }"},
	{"RLIMIT_FSIZE", NULL,
		"limit 10; fd 1 f rw; pwrite 1 5 12345; pwrite 1 8 12345 = 2; pwrite 1 10 x = EFBIG; signals = 1;"
		"pwrite 1 100 x = EFBIG; signals = 2; truncate f 30 = EFBIG; signals = 3; ftruncate 1 30 = EFBIG;"
		"truncate f 9; truncate f 10; fallocate 1 0 0 11 = EFBIG; fallocate 1 keep 0 100; signals; fd 2 n "
		"w,creat,append; write 2 0123456789; write 2 x = EFBIG; size n = 10; fd 3 x r; copyrange 3 1 11;"
		"as alice; fd 4 d/in w; pwrite 4 11 x = EFBIG; truncate d/in 11 = EFBIG; size d/in = 5"},
	{"the largest file", NULL,
		"limit -1; fd 1 n rw,creat; ftruncate 1 16T = EFBIG; pwrite 1 16T x = EFBIG~0; truncate n 16T = EFBIG; signals ="
		" 0; ftruncate 1 17592186040320; size n = 17592186040320; pwrite 1 17592186040319 x; pwrite 1 "
		"17592186040320 x = EFBIG~0; truncate n 0; ftruncate 1 0x7fffffffffffffff = EFBIG; pwrite 1 "
		"0x7fffffffffffffff x = EINVAL; fallocate 1 0 16T 1 = EFBIG; size n = 0"},
	{"text that is busy", "copyfile /bin/sleep run; chown run alice alice;",
		"start 1 run; open run w = ETXTBSY; open run rw = ETXTBSY; open run r; truncate run 0 = ETXTBSY;"
		"open run w,trunc = ETXTBSY; chmod run 0700; open run w = ETXTBSY; rename run ran; open ran w = "
		"ETXTBSY; link ran r2; open r2 w = ETXTBSY; chown ran bob bob; utimens ran 1 1; open ran rw = "
		"ETXTBSY; unlink ran; create ran 0755; open ran w; open r2 w = ETXTBSY; stop 1; open r2 w"},
	{"running what is written", "copyfile /bin/true run;",
		"fd 1 run rw; exec run = ETXTBSY; close 1; exec run = 0; fd 1 run w,append; exec run = ETXTBSY;"
		"close 1; exec run = 0; fd 1 run r; exec run = 0; close 1; chmod run 0644; exec run = EACCES; chmod "
		"run 0755; exec run = 0; truncate run 0; exec run = ENOEXEC; exec d = EACCES; exec f = EACCES; exec "
		"p = EACCES; exec none = ENOENT; exec x = 0"},
	{"running a new program", NULL,
		"copyfile /bin/sleep n; start 1 n; open n w = ETXTBSY; unlink n; copyfile /bin/true n; exec n = 0;"
		"stop 1; rename n d/n; exec d/n = 0; copyfile /bin/false d/n; exec d/n = 1; rename d/n x; exec x = 1"},
};

POSIX_AREA(posix_limits, "limits", limit_checks);
