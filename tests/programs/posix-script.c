/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and runs the scripts of the checks. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix.h"

static const char *current; /* the name of the check, for messages */

void posix_die(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "posix-checks: %s: ", current ? current : "");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

const struct posix_op *posix_find_op(const char *word)
{
	static const struct posix_op *const tables[] = {posix_tree_ops, posix_file_ops,
		posix_stat_ops, posix_process_ops, posix_share_ops, posix_acl_ops};

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct posix_op *op = tables[t]; op->word; op++)
			if (strcmp(op->word, word) == 0)
				return op;
	return NULL;
}

/* --- arguments --- */

int posix_fd(struct posix_run *run, const char *number)
{
	size_t i = (size_t)atoi(number);

	if (i >= POSIX_HANDLES)
		posix_die("no descriptor %s", number);
	return run->fds[i];
}

long posix_number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 0);

	if (*end == 'k')
		n <<= 10;
	else if (*end == 'M')
		n <<= 20;
	else if (*end == 'G')
		n <<= 30;
	else if (*end == 'T')
		n <<= 40;
	else if (*end)
		posix_die("'%s' is no number", text);
	return n;
}

/* A path of `length` bytes to `name`: "./" before it as often as needed, one "/" more if odd. */
static void expand_path(char *out, size_t length, const char *name)
{
	size_t room = length - strlen(name);
	size_t i = 0;

	for (; i + 1 < room; i += 2)
		memcpy(out + i, "./", 2);
	if (i < room)
		out[i++] = '/';
	strcpy(out + i, name);
}

/* The element of the loop in the place of `$`. */
static char *substitute(const char *token, const char *element)
{
	char *out = malloc(strlen(token) * (element ? strlen(element) + 1 : 1) + 1), *p = out;

	for (; *token; token++) {
		if (*token == '$' && element)
			p = stpcpy(p, element);
		else
			*p++ = *token;
	}
	*p = '\0';
	return out;
}

static char *expand(const char *token)
{
	char *out = malloc(8192 + strlen(token)), *p = out;

	if (token[0] == '@' && token[1] == 'p') {
		char *name;
		size_t length = strtoul(token + 2, &name, 10);

		expand_path(out, length, name + 1);
		return out;
	}
	for (; *token; token++) {
		if (token[0] == '\\' && token[1] == 'x') {
			const char hex[3] = {token[2], token[3], '\0'};

			*p++ = (char)strtol(hex, NULL, 16);
			token += 3;
		} else if (token[0] == '\\' && token[1] == 's') {
			*p++ = ' ';
			token++;
		} else if (*token == '@' && isdigit((unsigned char)token[1])) {
			size_t length = strtoul(token + 1, (char **)&token, 10);

			memset(p, 'n', length);
			p += length;
			token--;
		} else {
			*p++ = *token;
		}
	}
	*p = '\0';
	return out;
}

/* The element of a list R1|R2|R3; a list of one is for all. */
static char *choose(const char *list, size_t index)
{
	char *copy = strdup(list), *result = NULL, *save = NULL;

	if (!strchr(list, '|'))
		return copy;
	for (char *p = strtok_r(copy, "|", &save); p; p = strtok_r(NULL, "|", &save))
		if (index-- == 0)
			result = strdup(p);
	free(copy);
	if (!result)
		posix_die("too few results in '%s'", list);
	return result;
}

/* --- statements --- */

struct loop {
	const char *element; /* NULL: not in a loop */
	size_t index;
};

static void add_line(struct posix_transcript *t, char *statement, char *wanted, char *got)
{
	char *tilde = wanted ? strpbrk(wanted, "~^") : NULL;
	bool is_of_opens = tilde && *tilde == '^';
	const char *mode = getenv("TEST_MODE");

	if (tilde)
		*tilde = '\0';
	if (is_of_opens && (!mode || strcmp(mode, "opens") != 0))
		tilde = NULL;
	t->lines = realloc(t->lines, (t->count + 1) * sizeof(*t->lines));
	t->lines[t->count++] =
		(struct posix_line){statement, wanted, got, tilde ? tilde + 1 : NULL};
}

static char *perform(struct posix_run *run, const struct posix_op *op, char **args)
{
	char result[POSIX_RESULT] = "";
	long r = op->fn(run, args, result);

	if (r < 0)
		snprintf(result, sizeof(result), "%s", strerrorname_np((int)-r));
	else if (!result[0])
		snprintf(result, sizeof(result), "%ld", r);
	return strdup(result);
}

static void run_statement(struct posix_run *run, const char *text, size_t length,
	const struct loop *loop, struct posix_transcript *t)
{
	char *copy = strndup(text, length), *save = NULL;
	char *args[POSIX_ARGS + 1] = {NULL};
	char *equals = strstr(copy, " = "), *wanted = NULL, *shown, *with_element;
	const struct posix_op *op;
	bool asks = copy[0] == '?';
	size_t count = 0;

	if (asks)
		copy[0] = ' ';

	if (equals) {
		*equals = '\0';
		wanted = choose(equals + 3, loop->index);
	}
	shown = strdup(copy);
	for (char *p = strtok_r(copy, " \t\n", &save); p; p = strtok_r(NULL, " \t\n", &save)) {
		if (count == POSIX_ARGS)
			posix_die("too many arguments in '%s'", shown);
		with_element = substitute(p, loop->element);
		args[count++] = expand(with_element);
		free(with_element);
	}
	op = posix_find_op(args[0]);
	if (!op || (int)count - 1 < op->arguments)
		posix_die("cannot do '%s'", shown);
	if (!wanted && !op->is_question && !asks)
		wanted = strdup("0");
	if (loop->element) {
		char *with = NULL;

		if (asprintf(&with, "%s [%s]", shown, loop->element) < 0)
			posix_die("no memory");
		free(shown);
		shown = with;
	}
	add_line(t, shown, wanted, perform(run, op, args + 1));
	for (size_t i = 0; i < count; i++)
		free(args[i]);
	free(copy);
}

static void run_block(struct posix_run *run, const char *text, const char *end,
	const struct loop *loop, struct posix_transcript *t);

/* `text` is behind "each ". Returns what follows the block. */
static const char *run_loop(
	struct posix_run *run, const char *text, const char *end, struct posix_transcript *t)
{
	const char *open = memchr(text, '{', (size_t)(end - text));
	const char *close = open ? memchr(open, '}', (size_t)(end - open)) : NULL;
	char *list, *save = NULL;
	struct loop loop = {0};

	if (!close)
		posix_die("a loop without its braces");
	list = strndup(text, (size_t)(open - text));
	for (char *p = strtok_r(list, ", ", &save); p; p = strtok_r(NULL, ", ", &save)) {
		loop.element = p;
		run_block(run, open + 1, close, &loop, t);
		loop.index++;
	}
	free(list);
	return close + 1;
}

static void run_block(struct posix_run *run, const char *text, const char *end,
	const struct loop *loop, struct posix_transcript *t)
{
	while (text < end) {
		size_t length = strspn(text, " \t\n;");
		const char *semicolon;

		text += length;
		if (text >= end)
			return;
		if (strncmp(text, "each ", 5) == 0) {
			text = run_loop(run, text + 5, end, t);
			continue;
		}
		semicolon = memchr(text, ';', (size_t)(end - text));
		if (!semicolon)
			semicolon = end;
		length = (size_t)(semicolon - text);
		while (length > 0 && isspace((unsigned char)text[length - 1]))
			length--;
		run_statement(run, text, length, loop, t);
		text = semicolon;
	}
}

static void clean_up(struct posix_run *run)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	posix_become("root");
	umask(022);
	setrlimit(RLIMIT_FSIZE, &all);
	for (size_t i = 0; i < POSIX_HANDLES; i++) {
		if (run->fds[i] >= 0)
			close(run->fds[i]);
		if (run->children[i] > 0) {
			kill(run->children[i], SIGKILL);
			waitpid(run->children[i], NULL, 0);
		}
	}
}

void posix_script(const char *name, const char *script, struct posix_transcript *ret)
{
	struct posix_run run = {0};
	const struct loop none = {0};

	*ret = (struct posix_transcript){0};
	current = name;
	memset(run.fds, -1, sizeof(run.fds));
	run_block(&run, script, script + strlen(script), &none, ret);
	clean_up(&run);
	current = NULL;
}

void posix_transcript_free(struct posix_transcript *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->lines[i].statement);
		free(t->lines[i].wanted);
		free(t->lines[i].got);
	}
	free(t->lines);
}
