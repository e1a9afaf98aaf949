/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs that vmctl runs, and that end with it, whatever ends it. */
#ifndef HOSPES_TOOLS_VMCTL_TOOL_H
#define HOSPES_TOOLS_VMCTL_TOOL_H

#include "common/cleanup.h"
#include "common/err.h"

struct tool {
	char *const *argv;                         /* [0] is sought in PATH, if it has no slash */
	const char *package;                       /* that has it, for the text when it is missing */
	const char *output;                        /* where its standard output goes; NULL: its lines go to @line */
	const char *doing;                         /* what it does, for texts: "make the image" */
	void (*line)(void *arg, const char *line); /* NULL: they are kept with its errors */
	void (*tick)(void *arg);                   /* five times a second; NULL: none */
	void *arg;
};

/*
 * Run it until it ends, or vmctl_stopped is set (-EINTR): then it is killed. If it fails, the last lines that it said are printed. It has
 * no standard input. -ENOENT: it is missing; -EIO: it failed.
 */
int vmctl_tool(const struct tool *t, struct err *err) _must_check_;

#endif
