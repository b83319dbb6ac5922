/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * containerd: a runtime of CRI, for Kubernetes's RuntimeClass. Where it may stand follows from how
 * containerd reads (1.6 and 1.7): a file that is imported replaces the whole section of a plugin
 * that it names, and a file that names any runtime loses the built-in runc.
 */
#include "containerd-files.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "toml.h"
#include "util/cleanup.h"

#define OWN_NAME    "90-git-overlayfs.toml"
#define VERSION_NEW 2 /* every containerd that has a CRI plugin reads it */

struct imports {
	struct configure_plan *plan;
	char main[PATH_MAX];
	char own[PATH_MAX];    /* a drop-in would be there; "": no directory is imported */
	char holder[PATH_MAX]; /* the file with the plugin's section that counts; "": none has */
	struct error in_use;   /* who makes our runtime the default; no text: nobody */
};

static void plugin_path(struct toml_path *path, size_t version, const char *a, const char *b,
	const char *c, const char *d)
{
	toml_path_set(path, "plugins", containerd_plugins[version], "containerd", a, b, c, d, NULL);
}

/* The file's version, 1 where it says none, or -EINVAL. */
static int version_of(const char *text, size_t size, struct error *err)
{
	struct toml_statement statement;
	struct toml_path key;
	size_t length;
	int r;

	toml_path_set(&key, "version", NULL);
	r = toml_find(text, size, &key, &statement, err);
	if (r <= 0)
		return r < 0 ? r : 1;
	length = statement.value_end - statement.value;
	if (length == 1 && text[statement.value] >= '1' && text[statement.value] <= '3')
		return text[statement.value] - '0';
	return error_set(err, EINVAL, EXIT_STATUS_FAILED,
		"line %u: version %.*s of the file is not known here, only 1 to 3", statement.line,
		length < 20 ? (int)length : 20, text + statement.value);
}

/* As it is written, but for quotes: newer versions of containerd print single ones. */
static bool statement_says(
	const char *text, const struct toml_statement *statement, const char *value)
{
	size_t size = statement->value_end - statement->value, length = strlen(value);

	text += statement->value;
	if (size == length + 2 && (*text == '"' || *text == '\'') && text[size - 1] == *text)
		return !memcmp(text + 1, value, length);
	return size == length && !memcmp(text, value, length);
}

static int value_is(const char *text, size_t size, const struct toml_path *path, const char *value,
	bool if_missing, struct error *err)
{
	struct toml_statement statement;
	int r = toml_find(text, size, path, &statement, err);

	return r > 0 ? statement_says(text, &statement, value) : r < 0 ? r : if_missing;
}

/*
 * 1: the text has a runtime runc that can start; 0: none, and a table of it may be added, whatever
 * stands below it; -EINVAL: it has a table that lacks the type, and a table stands in a file once.
 */
static int has_runc(const char *text, size_t size, size_t version, struct error *err)
{
	struct toml_statement statement;
	struct toml_path runc, type;
	struct toml_scan scan;
	unsigned line = 0;
	int r;

	plugin_path(&runc, version, "runtimes", "runc", NULL, NULL);
	plugin_path(&type, version, "runtimes", "runc", "runtime_type", NULL);
	r = toml_scan_begin(&scan, text, size, err);
	while (r >= 0 && (r = toml_scan_next(&scan, &statement, err)) > 0) {
		bool is_key = statement.kind == TOML_KEY;

		/* runc = {...}: what is in there is left to the check. */
		if (is_key && (toml_path_equal(&statement.path, &type) ||
				      toml_path_equal(&statement.path, &runc)))
			return 1;
		if (is_key ? statement.table_size < runc.size &&
					toml_path_is_within(&statement.path, &runc)
			   : statement.kind != TOML_COMMENT &&
					toml_path_equal(&statement.path, &runc))
			line = statement.line;
	}
	if (r < 0 || line == 0)
		return r;
	return error_set(err, EINVAL, EXIT_STATUS_FAILED,
		"line %u: the runtime runc has no runtime_type; write runtime_type = "
		"\"io.containerd.runc.v2\" into its table first",
		line);
}

struct facts {
	int version;
	int runc_is_needed; /* it is the default, and would no longer be there */
	int systemd_cgroup; /* runc's, which ours has to have, too */
};

static int find_facts(const char *text, size_t size, struct facts *ret_facts, struct error *err)
{
	struct toml_path path;
	struct facts facts = {.version = version_of(text, size, err)};
	size_t version = (size_t)facts.version;
	int r;

	if (facts.version < 0)
		return facts.version;
	r = has_runc(text, size, version, err);
	if (r < 0)
		return r;
	plugin_path(&path, version, "default_runtime_name", NULL, NULL, NULL);
	facts.runc_is_needed = r > 0 ? 0 : value_is(text, size, &path, "runc", true, err);
	plugin_path(&path, version, "runtimes", "runc", "options", "SystemdCgroup");
	facts.systemd_cgroup = value_is(text, size, &path, "true", false, err);
	if (facts.runc_is_needed < 0 || facts.systemd_cgroup < 0)
		return -EINVAL;
	*ret_facts = facts;
	return 0;
}

static char *section_body(const struct facts *facts, const char *runtime)
{
	_cleanup_free_ char *quoted = toml_quote(runtime);
	char table[120], *text = NULL;
	size_t size;
	FILE *out = quoted ? open_memstream(&text, &size) : NULL;

	if (!out)
		return NULL;
	snprintf(table, sizeof(table), "plugins.\"%s\".containerd.runtimes",
		containerd_plugins[facts->version]);
	if (facts->runc_is_needed)
		fprintf(out, "[%s.runc]\n  runtime_type = \"io.containerd.runc.v2\"\n", table);
	fprintf(out,
		"[%s.git-overlayfs]\n"
		"  runtime_type = \"io.containerd.runc.v2\"\n"
		"  pod_annotations = [\"org.git-overlayfs.*\"]\n"
		"[%s.git-overlayfs.options]\n"
		"  BinaryName = %s\n",
		table, table, quoted);
	if (facts->systemd_cgroup)
		fputs("  SystemdCgroup = true\n", out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int put_facts(const struct configure_plan *plan, const struct facts *facts, const char *text,
	size_t size, char **ret_text, size_t *ret_size, struct error *err)
{
	_cleanup_free_ char *body = section_body(facts, plan->request->runtime);
	struct toml_path owned;
	struct toml_section section = {
		.body = body, .owned = &owned, .owned_count = 1, .engine = plan->engine->name};

	if (!body)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"the path of the runtime cannot be written");
	plugin_path(&owned, (size_t)facts->version, "runtimes", "git-overlayfs", NULL, NULL);
	return toml_section_put(&section, text, size, ret_text, ret_size, err);
}

static int put(const struct configure_plan *plan, const char *text, size_t size, char **ret_text,
	size_t *ret_size, struct error *err)
{
	static const char fresh[] = "version = 2\n";
	_cleanup_free_ char *base = NULL;
	struct facts facts;
	int r;

	if (!text) {
		text = fresh;
		size = sizeof(fresh) - 1;
	}
	/* What our section says of runc does not count. */
	r = toml_section_take(text, size, &base, &size, err);
	if (r == 0)
		r = find_facts(base, size, &facts, err);
	return r == 0 ? put_facts(plan, &facts, base, size, ret_text, ret_size, err) : r;
}

static int take(const struct configure_plan *plan, const char *text, size_t size, char **ret_text,
	size_t *ret_size, struct error *err)
{
	return toml_section_take(text, size, ret_text, ret_size, err);
}

static const struct edit edit = {put, take};

/* --- which file --- */

/* Pods name no runtime, so that none would start without the default. */
static int note_default(
	struct imports *imports, const char *path, const char *text, size_t size, struct error *err)
{
	for (size_t i = 1; i < CONTAINERD_VERSIONS; i++) {
		struct toml_statement statement;
		struct toml_path key;
		int r;

		plugin_path(&key, i, "default_runtime_name", NULL, NULL, NULL);
		r = toml_find(text, size, &key, &statement, err);
		if (r < 0)
			return error_prefix(err, "%s", path);
		if (r > 0 && statement_says(text, &statement, "git-overlayfs"))
			error_set(&imports->in_use, EBUSY, EXIT_STATUS_FAILED,
				"%s: line %u: the default runtime is git-overlayfs, and no pod would "
				"start without it: write default_runtime_name = \"runc\" first",
				path, statement.line);
	}
	return 0;
}

/* Removing looks for the section, putting for the plugin's tables. */
static int look_at_text(
	struct imports *imports, const char *path, const char *text, size_t size, struct error *err)
{
	int r = toml_section_exists(text, size, err);

	if (r >= 0 && imports->plan->request->remove &&
		note_default(imports, path, text, size, err) < 0)
		return -EINVAL;
	if (r > 0 && imports->plan->request->remove)
		r = plan_edit(imports->plan, path, &edit, err);
	else if (r >= 0)
		r = containerd_names_plugin(text, size, err);
	else
		return error_prefix(err, "%s", path);
	if (r > 0)
		snprintf(imports->holder, sizeof(imports->holder), "%s", path);
	return r < 0 ? r : 0;
}

static int look_at_import(
	void *ctx, const char *path, const char *text, size_t size, struct error *err)
{
	if (!strncmp(text, OWN_HEADER, sizeof(OWN_HEADER) - 1))
		return 0;
	return look_at_text(ctx, path, text, size, err);
}

/* A pattern imports a directory when it takes every .toml in it. */
static void note_directory(struct imports *imports, const char *pattern)
{
	const char *name = strrchr(pattern, '/');
	int n = (int)(name - pattern);

	if (*imports->own || strcspn(pattern, "*?[") < (size_t)n ||
		fnmatch(name + 1, OWN_NAME, 0) != 0 || !strcmp(name + 1, OWN_NAME))
		return;
	snprintf(imports->own, sizeof(imports->own), "%.*s/" OWN_NAME, n, pattern);
}

static int read_imports(struct imports *imports, const char *text, size_t size, struct error *err)
{
	_cleanup_(containerd_imports_release) struct containerd_imports list = {0};
	int r = containerd_imports_read(&list, imports->main, text, size, err);

	for (size_t i = 0; r == 0 && i < list.count; i++)
		note_directory(imports, list.patterns[i]);
	if (r == 0)
		r = containerd_imports_each(
			&list, imports->plan->root_fd, look_at_import, imports, err);
	return r;
}

/* A file of our own is of the version of the one that imports it. */
static int plan_drop_in(struct imports *imports, int version, struct error *err)
{
	struct configure_plan *plan = imports->plan;
	struct facts facts = {.version = version, .runc_is_needed = 1};
	_cleanup_free_ char *body = NULL, *text = NULL;

	if (plan->request->remove)
		return plan_own_file(plan, imports->own, NULL, err);
	body = section_body(&facts, plan->request->runtime);
	if (!body ||
		asprintf(&text, OWN_HEADER " %s; what is changed here is lost.\nversion = %d\n%s",
			plan->engine->name, version, body) < 0)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"the path of the runtime cannot be written");
	return plan_own_file(plan, imports->own, text, err);
}

static int choose(struct imports *imports, const struct place *main_file, struct error *err)
{
	struct configure_plan *plan = imports->plan;
	int version = VERSION_NEW, r = 0;

	if (main_file->exists) {
		r = look_at_text(imports, imports->main, main_file->text, main_file->size, err);
		if (r == 0)
			r = read_imports(imports, main_file->text, main_file->size, err);
		if (r == 0)
			version = r = version_of(main_file->text, main_file->size, err);
		if (version < 0)
			error_prefix(err, "%s", imports->main);
	}
	if (r < 0)
		return r;
	if (*imports->own) {
		r = plan->request->remove ? plan_has_own_file(plan, imports->own, err) : 1;
		if (r > 0 && (plan->request->remove || (!*imports->holder && version > 1)))
			return plan_drop_in(imports, version, err);
	}
	if (r < 0 || plan->request->remove)
		return r < 0 ? r : 0;
	return plan_edit(plan, *imports->holder ? imports->holder : imports->main, &edit, err);
}

static int plan_containerd(struct configure_plan *plan, struct error *err)
{
	struct imports imports = {.plan = plan};
	struct place main_file;
	int r;

	plan_config_path(plan, CONTAINERD_CONFIG, imports.main, sizeof(imports.main));
	plan_note_missing(plan, plan->request->runtime);
	r = place_open(plan->root_fd, imports.main, &main_file, err);
	if (r == 0)
		r = choose(&imports, &main_file, err);
	/* What is planned when removing is the end of the runtime. */
	if (r == 0 && plan->request->remove && plan->count > 0 && imports.in_use.code) {
		*err = imports.in_use;
		r = -EBUSY;
	}
	place_release(&main_file);
	return r;
}

/* --- the check --- */

static bool cri_is_disabled(const char *dump)
{
	const char *line = strstr(dump, "disabled_plugins = [");

	return line && memmem(line, strcspn(line, "\n"), "cri", 3);
}

/*
 * The runtime that containerd could not start, or NULL: it prints the type of each, "" where no
 * file says it. Line by line, for what it logs stands in between.
 */
static const char *untyped_runtime(const char *dump, size_t *ret_size)
{
	static const char within[] = ".containerd.runtimes.";
	const char *name = NULL;

	for (const char *line = dump; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t size = strcspn(line, "\n");
		const char *at = line + strspn(line, " ");

		if (*at == '[') {
			name = memmem(line, size, within, sizeof(within) - 1);
			name = name ? name + sizeof(within) - 1 : NULL;
			*ret_size = name ? size - (size_t)(name - line) - 1 : 0;
			/* A table of a runtime's, as its options are. */
			if (name && memchr(name, '.', *ret_size))
				name = NULL;
		} else if (name && !strncmp(at, "runtime_type = ", 15) && at[15] &&
			   at[15] == at[16]) {
			return name;
		}
	}
	return NULL;
}

static int check_dump(struct configure_plan *plan, const char *dump, struct error *err)
{
	bool removes = plan->request->remove, is_off = cri_is_disabled(dump);
	size_t size;
	const char *untyped = is_off ? NULL : untyped_runtime(dump, &size);

	if (untyped)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"the runtime %.*s would have no runtime_type, so nothing was changed: give "
			"it one, or take away what else the files say of it",
			size < 100 ? (int)size : 100, untyped);
	if (is_off && !removes)
		plan_note(plan, "disabled_plugins turns CRI off, and with it this runtime");
	else if (!removes && !strstr(dump, "runtimes.git-overlayfs"))
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"containerd does not take the runtime, so nothing was changed: see "
			"containerd config dump");
	snprintf(plan->check, sizeof(plan->check), "containerd config dump passed");
	return 0;
}

static int check_containerd(struct configure_plan *plan, struct error *err)
{
	char path[PATH_MAX], outside[PATH_MAX + 32];
	const char *const words[] = {"containerd", "--config", outside, "config", "dump", NULL};
	_cleanup_free_ char *text = NULL;
	struct toml_statement statement;
	struct toml_path imports;
	struct place main_file;
	int r;

	plan_config_path(plan, CONTAINERD_CONFIG, path, sizeof(path));
	toml_path_set(&imports, "imports", NULL);
	r = place_open(plan->root_fd, path, &main_file, err);
	if (r == 0 && main_file.exists) {
		plan_path_outside(plan, &main_file, outside, sizeof(outside));
		if (strcmp(plan->request->root, "/") != 0 &&
			toml_find(main_file.text, main_file.size, &imports, &statement, NULL) > 0) {
			snprintf(plan->check, sizeof(plan->check),
				"none, with --root, imports would be those of this system");
			r = 1;
		} else {
			r = plan_ask(plan, words, &text, err);
		}
	}
	place_release(&main_file);
	return r == 0 && text ? check_dump(plan, text, err) : r < 0 ? r : 0;
}

const struct engine engine_containerd = {
	.name = "containerd",
	.plan = plan_containerd,
	.check = check_containerd,
	.restart = "systemctl restart containerd",
	.restart_rootless = "systemctl --user restart containerd",
};
