/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs of bench-operations: each reports what it did, and ends the program when it cannot. */
#pragma once

#include <stddef.h>

/* Seconds of a clock that only goes forward. */
double now(void);
/* Prints a line: so many of them since `started`. */
void report(const char *verb, size_t count, double started);
/* A number of an argument, at least 1. */
size_t number(const char *text);

/* The paths in a file, a 0 behind each; never freed. */
struct paths {
	char **names;
	size_t count;
};
struct paths read_paths(const char *file);

/* fill FILE MIB: a new file, not reported */
void do_fill(char **args);
/* seqread FILE PASSES, seqwrite FILE PASSES: the whole file from an open to a close, 1 MiB at once;
 * reports MiB */
void do_sequential_read(char **args);
void do_sequential_write(char **args);
/* randread FILE COUNT: blocks of 4 KiB: cold, when only this program has not read it yet, and warm,
 * after it has. */
void do_random_read(char **args);
/* randwrite FILE COUNT */
void do_random_write(char **args);
/* clients LIST PROCESSES MILLISECONDS: open, read, close of the files, each process from another
 * place in the list; then create and unlink, each process in a directory of its own */
void do_clients(char **args);
/* machine: system calls, first touches of a page, starts of a program, turns of two processes on
 * one processor and on two */
void do_machine(char **args);
