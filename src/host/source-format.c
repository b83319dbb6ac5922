/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * As much of git's configuration format as it takes to see that a repository is
 * of a kind that cannot be read: sections, keys, values; nothing is included.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/source-read.h"

#define WORD_MAX_LENGTH 64

/* One setting. Longer names and values than these are none that matters here. */
struct setting {
	char section[WORD_MAX_LENGTH]; /* "core"; with a subsection "" */
	char key[WORD_MAX_LENGTH];
	char value[WORD_MAX_LENGTH];
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static const char *skip_space(const char *p)
{
	while (is_space(*p))
		p++;
	return p;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.';
}

/* Copies a name in lower case; "" when it is too long. */
static const char *read_name(const char *p, char *ret_name)
{
	size_t n = 0;

	for (; is_name_char(*p); p++, n++)
		if (n < WORD_MAX_LENGTH - 1)
			ret_name[n] = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
	ret_name[n < WORD_MAX_LENGTH ? n : 0] = '\0';
	return p;
}

/* "[section]" or "[section "sub"]"; returns what follows it. */
static const char *read_section(const char *p, struct setting *setting)
{
	bool quoted = false;

	p = skip_space(read_name(skip_space(p + 1), setting->section));
	if (*p != ']')
		setting->section[0] = '\0';
	for (; *p && *p != '\n'; p++) {
		if (*p == '\\' && quoted && p[1] && p[1] != '\n')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (*p == ']' && !quoted)
			return p + 1;
	}
	return p;
}

/* The rest of a line behind "=": quotes, escapes, comments, continued lines. */
static const char *read_value(const char *p, char *ret_value)
{
	bool quoted = false, comment = false;
	size_t n = 0, kept = 0;

	for (p = skip_space(p); *p && *p != '\n'; p++) {
		if (comment)
			continue;
		if (*p == '"') {
			quoted = !quoted;
			continue;
		}
		if (!quoted && (*p == '#' || *p == ';')) {
			comment = true;
			continue;
		}
		if (*p == '\\' && p[1]) {
			p++;
			if (*p == '\n')
				continue;
		}
		if (n < WORD_MAX_LENGTH - 1)
			ret_value[n++] = *p;
		kept = quoted || !is_space(*p) ? n : kept;
	}
	ret_value[kept] = '\0';
	return p;
}

/* Messages quote nothing that is read; see source_read_text(). */
static const char *known_word(const char *value, const char *word)
{
	return strcmp(value, word) == 0 ? word : "another";
}

static int judge(const struct setting *s, struct error *err)
{
	if (strcmp(s->section, "core") == 0 && strcmp(s->key, "repositoryformatversion") == 0 &&
		strtol(s->value, NULL, 10) > 1)
		return error_set(err, ENOTSUP, EXIT_STATUS_SOURCE,
			"repository format version %ld is not supported (0 and 1 are)",
			strtol(s->value, NULL, 10));
	if (strcmp(s->section, "extensions") != 0)
		return 0;
	if (strcmp(s->key, "objectformat") == 0 && strcmp(s->value, "sha1") != 0)
		return error_set(err, ENOTSUP, EXIT_STATUS_SOURCE,
			"its object format is %s, which is not supported: use a repository made "
			"with 'git init --object-format=sha1'",
			known_word(s->value, "sha256"));
	if (strcmp(s->key, "refstorage") == 0 && strcmp(s->value, "files") != 0)
		return error_set(err, ENOTSUP, EXIT_STATUS_SOURCE,
			"its references are stored as %s, which is not supported: convert it with "
			"'git refs migrate --ref-format=files'",
			known_word(s->value, "reftable"));
	return 0;
}

int source_check_format(const char *config, struct error *err)
{
	struct setting setting = {.section = ""};
	const char *p = config;
	int r = 0;

	while (!r && *p) {
		p = skip_space(p);
		if (*p == '[') {
			p = read_section(p, &setting);
			continue;
		}
		setting.value[0] = '\0';
		setting.key[0] = '\0';
		if (is_name_char(*p)) {
			p = skip_space(read_name(p, setting.key));
			if (*p == '=')
				p = read_value(p + 1, setting.value);
			r = judge(&setting, err);
		}
		p += strcspn(p, "\n");
		p += *p == '\n';
	}
	return r;
}
