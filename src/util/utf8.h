/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing past U+10FFFF. */
#pragma once

#include <stddef.h>

/*
 * The length of the valid sequence at the start of `text`, 1 to 4, or 0 when there is
 * none. `size` is at least 1.
 */
static inline size_t utf8_sequence(const unsigned char *text, size_t size)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (size < length)
		return 0;
	/* The second byte says whether the form is overlong, a surrogate or too large. */
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}
