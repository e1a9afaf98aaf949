/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Error texts: see err.h. Hostile names in them reach no terminal as they are. No state; any thread. */
#include "config.h"
#include "common/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"

static int abs_errno(int code)
{
	code = abs(code);
	return code ? code : EIO;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	code = abs_errno(code);
	if (err) {
		va_list ap;

		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		text_tidy(err->text);
		err->code = code;
	}
	return -code;
}

int err_sys(struct err *err, int code, const char *fmt, ...)
{
	code = abs_errno(code);
	if (err) {
		const char *why = strerrordesc_np(code);
		va_list ap;
		size_t len;

		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		len = strlen(err->text);
		snprintf(err->text + len, sizeof(err->text) - len, ": %s", why ? why : "unknown error");
		text_tidy(err->text);
		err->code = code;
	}
	return -code;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX];
	va_list ap;
	size_t len;

	if (!err)
		return -EIO;
	memcpy(old, err->text, sizeof(old));
	old[sizeof(old) - 1] = 0;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", old);
	text_tidy(err->text);
	err->code = abs_errno(err->code);
	return -err->code;
}
