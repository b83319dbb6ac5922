/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "printable.h"

#include <string.h>

char *printable(const char *text, size_t size)
{
	char *copy = strndup(text, size);

	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return copy;
}
