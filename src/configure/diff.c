/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT 3

struct lines {
	const char *text;
	size_t size;
	size_t *starts; /* count + 1 of them */
	size_t count;
};

static int lines_split(struct lines *lines, const char *text, size_t size)
{
	size_t count = 0;

	*lines = (struct lines){.text = text ? text : "", .size = text ? size : 0};
	for (size_t i = 0; i < lines->size; i++)
		count += lines->text[i] == '\n';
	lines->starts = calloc(count + 2, sizeof(*lines->starts));
	if (!lines->starts)
		return -1;
	for (size_t i = 0; i < lines->size;) {
		const char *newline = memchr(lines->text + i, '\n', lines->size - i);

		i = newline ? (size_t)(newline - lines->text) + 1 : lines->size;
		lines->starts[++lines->count] = i;
	}
	return 0;
}

static int line_equal(const struct lines *a, size_t i, const struct lines *b, size_t k)
{
	size_t n = a->starts[i + 1] - a->starts[i];

	return n == b->starts[k + 1] - b->starts[k] &&
	       !memcmp(a->text + a->starts[i], b->text + b->starts[k], n);
}

static void print_lines(FILE *out, char sign, const struct lines *lines, size_t from, size_t to)
{
	for (; from < to; from++) {
		size_t n = lines->starts[from + 1] - lines->starts[from];
		const char *line = lines->text + lines->starts[from];

		putc(sign, out);
		fwrite(line, 1, n, out);
		if (n == 0 || line[n - 1] != '\n')
			fputs("\n\\ No newline at end of file\n", out);
	}
}

static size_t at_most(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void print_hunk(FILE *out, const struct lines *a, const struct lines *b)
{
	size_t least = at_most(a->count, b->count), same = 0, tail = 0, from, after;

	while (same < least && line_equal(a, same, b, same))
		same++;
	while (tail < least - same && line_equal(a, a->count - 1 - tail, b, b->count - 1 - tail))
		tail++;
	from = same - at_most(same, CONTEXT);
	after = at_most(tail, CONTEXT);
	/* A side without lines is named by the line before it. */
	fprintf(out, "@@ -%zu,%zu +%zu,%zu @@\n", a->count - tail + after > from ? from + 1 : from,
		a->count - tail + after - from, b->count - tail + after > from ? from + 1 : from,
		b->count - tail + after - from);
	print_lines(out, ' ', a, from, same);
	print_lines(out, '-', a, same, a->count - tail);
	print_lines(out, '+', b, same, b->count - tail);
	print_lines(out, ' ', a, a->count - tail, a->count - tail + after);
}

char *diff_unified(const char *path, const char *before, size_t before_size, const char *after,
	size_t after_size)
{
	struct lines a = {0}, b = {0};
	char *text = NULL;
	size_t size;
	FILE *out = NULL;

	if (lines_split(&a, before, before_size) == 0 && lines_split(&b, after, after_size) == 0)
		out = open_memstream(&text, &size);
	if (out) {
		fprintf(out, "--- %s\n+++ %s\n", before ? path : "/dev/null",
			after ? path : "/dev/null");
		print_hunk(out, &a, &b);
		if (fclose(out) != 0) {
			free(text);
			text = NULL;
		}
	}
	free(a.starts);
	free(b.starts);
	return text;
}
