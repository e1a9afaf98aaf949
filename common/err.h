/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors that a person reads.
 *
 * A function returns 0 or -errno. At a boundary its last argument is a `struct err *` (may be NULL), which receives one
 * sentence: what was being done, to what, why it failed, what to do. Library code never logs; the code that handles the
 * error does.
 */
#ifndef HOSPES_COMMON_ERR_H
#define HOSPES_COMMON_ERR_H

#include <stdarg.h>

#define ERR_TEXT_MAX 512

struct err {
	int code;                  /* positive errno, 0: none */
	char text[ERR_TEXT_MAX];   /* one line, no newline, always terminated */
};

/* Set @err (NULL is fine) to @code (positive or negative errno) with a printf text. Returns -abs(@code). */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, with ": strerror(code)" appended. */
int err_sys(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "text: " before what @err already says. Returns -err->code (or -EIO when @err is NULL). */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
