/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds of engines as texts: words, of which the first that begins with a digit may be a version ("7.2.22 tcg pc-q35-7.2", in the
 * cluster "qemu 7.2.22 tcg"). It is what a state depends on (hypervisor/engine.h, identity()). Pure, and a header only, because the
 * cluster's core takes nothing from elsewhere.
 */
#ifndef HOSPES_COMMON_BUILDS_H
#define HOSPES_COMMON_BUILDS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Is @here the same text, or, if @partly, the words that @of begins with? */
static inline bool build_same(const char *of, const char *here, bool partly)
{
	size_t len = strlen(here);

	return !strncmp(of, here, len) && (!of[len] || (partly && of[len] == ' '));
}

/* A number of up to 9 digits and the dot behind it; -1: there is none. */
static inline long build_number(const char **at)
{
	const char *p = *at;
	long n = 0;

	while (*p >= '0' && *p <= '9' && p - *at < 9)
		n = 10 * n + (*p++ - '0');
	if (p == *at || (*p && *p != '.' && *p != ' '))
		return -1;
	*at = p + (*p == '.');
	return n;
}

/* Is the version at *@here that at *@of or a later one? Both are left at their ends. Numbers between dots; 7.2 is 7.2.0. */
static inline bool build_not_older(const char **of, const char **here)
{
	int order = 0; /* of @here to @of, by the first number that differs */

	while ((**of && **of != ' ') || (**here && **here != ' ')) {
		long a = **of && **of != ' ' ? build_number(of) : 0,
		     b = **here && **here != ' ' ? build_number(here) : 0;

		if (a < 0 || b < 0)
			return false;
		if (!order)
			order = (b > a) - (b < a);
	}
	return order >= 0;
}

/*
 * May a state of build @of go on where builds are @here? They have to be the same, but for a later version if @newer. @partly: @here is
 * of all guests there, and may end before @of does, at the end of a word.
 */
static inline bool build_takes(const char *of, const char *here, bool newer, bool partly)
{
	if (build_same(of, here, partly))
		return true;
	while (newer && *of && (*of < '0' || *of > '9')) { /* up to the version word by word the same */
		size_t len = 0;

		while (of[len] && of[len] != ' ')
			len++;
		if (!of[len] || strncmp(of, here, len + 1) != 0)
			return false;
		of += len + 1;
		here += len + 1;
	}
	return newer && *of && build_not_older(&of, &here) && build_same(of, here, partly);
}

#endif
