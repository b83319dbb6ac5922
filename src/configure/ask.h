/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

/* What an engine's own program said. */
struct answer {
	int status; /* exit status; 128 + N after signal N */
	char *text; /* standard output and error, together */
};

/*
 * Runs a program of the PATH to its end, with a time limit. -ENOENT: it is not installed;
 * -ETIMEDOUT: it was killed. The caller frees ret_answer->text.
 */
int ask_program(const char *const words[], struct answer *ret_answer);

/* The last line that says something, as its maker's words; static text when there is none. */
const char *answer_last_line(char *text);
