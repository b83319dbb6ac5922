/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <git-overlayfs/error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/utf8.h"

/* C1 controls steer terminals as C0 does, and so may what is no UTF-8. */
static bool is_control(const unsigned char *p)
{
	return *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0);
}

static void make_printable(char *text)
{
	unsigned char *p = (unsigned char *)text, *end = p + strlen(text);

	while (p < end) {
		size_t n = utf8_sequence(p, (size_t)(end - p));

		if (n == 0 || is_control(p)) {
			n = n ? n : 1;
			memset(p, '?', n);
		}
		p += n;
	}
}

__attribute__((format(printf, 4, 0))) static int error_vset(
	struct error *err, int code, enum exit_status status, const char *format, va_list ap)
{
	if (!err)
		return -code;
	err->code = code;
	err->status = status;
	vsnprintf(err->text, sizeof(err->text), format, ap);
	make_printable(err->text);
	return -code;
}

int error_set(struct error *err, int code, enum exit_status status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	error_vset(err, code, status, format, ap);
	va_end(ap);
	return -code;
}

int error_set_errno(struct error *err, int code, enum exit_status status, const char *format, ...)
{
	va_list ap;
	size_t used;

	va_start(ap, format);
	error_vset(err, code, status, format, ap);
	va_end(ap);
	if (!err)
		return -code;
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(code));
	return -code;
}

int error_prefix(struct error *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list ap;
	int n;

	if (!err)
		return -EIO;
	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -err->code;
	snprintf(text + n, sizeof(text) - (size_t)n, ": %s", err->text);
	memcpy(err->text, text, sizeof(text));
	make_printable(err->text);
	return -err->code;
}

const char *error_name(int code)
{
	const char *name = strerrorname_np(code);

	return name ? name : "E?";
}
