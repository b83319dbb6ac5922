/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steps: drawn from a seed, printed, and read again. */
#include "oracle.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

const char *const who_names[WHO_COUNT] = {"root", "owner", "member", "other"};

static const struct operation *const tables[] = {name_operations, data_operations, map_operations,
	meta_operations, handle_operations, stream_operations, parent_operations};

bool operation_is_parents(const struct operation *op)
{
	for (const struct operation *p = parent_operations; p->name; p++)
		if (p == op)
			return true;
	return false;
}

uint64_t random_next(struct random *rnd)
{
	uint64_t z = rnd->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

unsigned random_below(struct random *rnd, unsigned limit)
{
	return (unsigned)(random_next(rnd) >> 33) % limit;
}

/* --- drawing --- */

static const struct operation *draw_operation(struct random *rnd, unsigned without)
{
	unsigned total = 0, at;

	for (size_t t = 0; t < COUNT(tables); t++)
		for (const struct operation *op = tables[t]; op->name; op++)
			total += op->weight;
	at = random_below(rnd, total);
	for (size_t t = 0; t < COUNT(tables); t++) {
		for (const struct operation *op = tables[t]; op->name; op++) {
			if (at < op->weight)
				return op->features & without ? NULL : op;
			at -= op->weight;
		}
	}
	return NULL;
}

static size_t count_words(const struct word *words)
{
	size_t n = 0;

	while (words[n].name)
		n++;
	return n;
}

static void draw_argument(
	struct random *rnd, unsigned without, const struct kind *kind, struct value *value)
{
	*value = (struct value){0};
	if (kind->generate)
		kind->generate(rnd, value);
	else
		value->number =
			kind->words[random_below(rnd, (unsigned)count_words(kind->words))].number;
	if (without & FEATURE_CAPABILITY && strcmp(value->text, "security.capability") == 0)
		strcpy(value->text, "security.test");
	if (without & FEATURE_UNWRITTEN && kind == &kind_allocate &&
		!(value->number & FALLOC_FL_PUNCH_HOLE))
		value->number = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
}

/* Most is done by root, and the others take turns. */
static unsigned draw_who(struct random *rnd)
{
	unsigned n = random_below(rnd, 20);

	return n < 14 ? 0 : 1 + (n - 14) / 2;
}

void step_generate(struct random *rnd, unsigned without, struct step *ret_step)
{
	*ret_step = (struct step){.op = NULL};
	while (!ret_step->op)
		ret_step->op = draw_operation(rnd, without);
	ret_step->who = draw_who(rnd);
	if (operation_is_parents(ret_step->op))
		ret_step->who = 0;
	for (size_t i = 0; i < ARGS_MAX && ret_step->op->args[i]; i++)
		draw_argument(rnd, without, ret_step->op->args[i], &ret_step->arg[i]);
}

/* --- printing --- */

static void print_flags(FILE *out, const struct kind *kind, long number)
{
	const char *between = "";

	for (const struct word *w = kind->words; w->name; w++) {
		if (w->number == 0 || (number & w->number) != w->number)
			continue;
		fprintf(out, "%s%s", between, w->name);
		number &= ~w->number;
		between = "|";
	}
	if (number || !*between)
		fprintf(out, "%s%#lo", between, number);
}

static void print_argument(FILE *out, const struct kind *kind, const struct value *value)
{
	if (kind->is_text) {
		fprintf(out, "%s", *value->text ? value->text : "\"\"");
		return;
	}
	if (kind->is_flags && kind->words) {
		print_flags(out, kind, value->number);
		return;
	}
	for (const struct word *w = kind->words; w && w->name; w++) {
		if (w->number == value->number) {
			fprintf(out, "%s", w->name);
			return;
		}
	}
	fprintf(out, kind->is_octal ? "%#lo" : "%ld", value->number);
}

void step_print(FILE *out, const struct step *step)
{
	fprintf(out, "%s %s", who_names[step->who], step->op->name);
	for (size_t i = 0; i < ARGS_MAX && step->op->args[i]; i++) {
		fputc(' ', out);
		print_argument(out, step->op->args[i], &step->arg[i]);
	}
}

/* --- reading --- */

static int read_number(const struct kind *kind, const char *text, long *ret_number)
{
	char *end;

	for (const struct word *w = kind->words; w && w->name; w++) {
		if (strcmp(w->name, text) == 0) {
			*ret_number = w->number;
			return 0;
		}
	}
	*ret_number = strtol(text, &end, 0);
	return *text && !*end ? 0 : -1;
}

static int read_argument(const struct kind *kind, char *text, struct value *ret_value)
{
	char *save = NULL;
	long number;

	*ret_value = (struct value){0};
	if (kind->is_text) {
		if (strcmp(text, "\"\"") != 0)
			snprintf(ret_value->text, TEXT_MAX, "%s", text);
		return 0;
	}
	for (char *p = strtok_r(text, "|", &save); p; p = strtok_r(NULL, "|", &save)) {
		if (read_number(kind, p, &number) < 0)
			return -1;
		ret_value->number |= number;
	}
	return 0;
}

static const struct operation *find_operation(const char *name)
{
	for (size_t t = 0; t < COUNT(tables); t++)
		for (const struct operation *op = tables[t]; op->name; op++)
			if (strcmp(op->name, name) == 0)
				return op;
	return NULL;
}

static int find_who(const char *name, unsigned *ret_who)
{
	for (unsigned i = 0; i < WHO_COUNT; i++) {
		if (strcmp(who_names[i], name) == 0) {
			*ret_who = i;
			return 0;
		}
	}
	return -1;
}

int step_parse(const char *line, struct step *ret_step)
{
	char copy[1024], *save = NULL, *word;

	snprintf(copy, sizeof(copy), "%s", line);
	copy[strcspn(copy, "\n")] = '\0';
	*ret_step = (struct step){.op = NULL};
	word = strtok_r(copy, " ", &save);
	if (!word || find_who(word, &ret_step->who) < 0)
		return -1;
	word = strtok_r(NULL, " ", &save);
	ret_step->op = word ? find_operation(word) : NULL;
	if (!ret_step->op)
		return -1;
	for (size_t i = 0; i < ARGS_MAX && ret_step->op->args[i]; i++) {
		word = strtok_r(NULL, " ", &save);
		if (!word || read_argument(ret_step->op->args[i], word, &ret_step->arg[i]) < 0)
			return -1;
	}
	return 0;
}

/* --- names --- */

static const struct {
	const char *name;
	int fill;
	size_t length;
} expansions[] = {{"LONG", 'n', 255}, {"TOOLONG", 'n', 256}, {"BYTES", 0xff, 3}};

static size_t expand_one(const char *name, size_t length, char *to, size_t room)
{
	for (size_t i = 0; i < COUNT(expansions); i++) {
		if (strlen(expansions[i].name) == length &&
			memcmp(expansions[i].name, name, length) == 0 &&
			expansions[i].length < room) {
			memset(to, expansions[i].fill, expansions[i].length);
			return expansions[i].length;
		}
	}
	if (length >= room)
		return 0;
	memcpy(to, name, length);
	return length;
}

void step_expand(const char *path, char *ret_path, size_t size)
{
	size_t used = 0;

	while (*path && used + 1 < size) {
		size_t length = strcspn(path, "/");

		used += expand_one(path, length, ret_path + used, size - used);
		path += length;
		while (*path == '/' && used + 1 < size) {
			ret_path[used++] = '/';
			path++;
		}
	}
	ret_path[used] = '\0';
}

/* --- sequences --- */

/* Ends with the whole tree compared, then once more after a remount. */
static void add_ending(struct sequence *seq, unsigned without)
{
	static const char *const ending[] = {"root compare", "root remount", "root compare"};

	for (size_t i = 0; i < COUNT(ending); i++) {
		if (i > 0 && without & FEATURE_REMOUNT)
			break;
		if (step_parse(ending[i], &seq->steps[seq->count]) < 0)
			die("no operation '%s'", ending[i]);
		seq->count++;
	}
}

void sequence_generate(uint64_t seed, size_t count, unsigned without, struct sequence *ret_seq)
{
	struct random rnd = {.state = seed * 0x2545f4914f6cdd1du};

	ret_seq->steps = calloc(count + 3, sizeof(struct step));
	if (!ret_seq->steps)
		die("out of memory");
	ret_seq->count = count;
	for (size_t i = 0; i < count; i++)
		step_generate(&rnd, without, &ret_seq->steps[i]);
	add_ending(ret_seq, without);
}

int sequence_read(const char *path, struct sequence *ret_seq)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	size_t capacity = 0, line_number = 0;
	char line[1024];

	if (!in)
		die("%s: %m", path);
	*ret_seq = (struct sequence){NULL, 0};
	while (fgets(line, sizeof(line), in)) {
		line_number++;
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (ret_seq->count == capacity) {
			capacity = capacity ? 2 * capacity : 64;
			ret_seq->steps =
				reallocarray(ret_seq->steps, capacity, sizeof(struct step));
			if (!ret_seq->steps)
				die("out of memory");
		}
		if (step_parse(line, &ret_seq->steps[ret_seq->count++]) < 0)
			die("%s:%zu: not a step: %s", path, line_number, line);
	}
	if (in != stdin)
		fclose(in);
	return 0;
}

void sequence_print(FILE *out, const struct sequence *seq)
{
	for (size_t i = 0; i < seq->count; i++) {
		step_print(out, &seq->steps[i]);
		fputc('\n', out);
	}
}
