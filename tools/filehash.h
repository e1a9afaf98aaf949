/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHA-256 of large files, and copies of them that are checked by it. Holes stay holes. Blocks; for progress see vmhost.h. */
#ifndef HOSPES_TOOLS_FILEHASH_H
#define HOSPES_TOOLS_FILEHASH_H

#include "common/cleanup.h"
#include "common/err.h"
#include "tools/vmhost.h"

#define SHA256_TEXT 65 /* hexadecimal, with the NUL */

/* @what is shown meanwhile. -EINTR: stopped. */
int file_sha256(const char *path, const char *what, const struct vmhost_while *w, char ret[SHA256_TEXT],
                struct err *err) _must_check_;
/*
 * Copy @from to the new file @to (of @mode) and sync it; shared with @from where the file system can do that. @ret is that of what
 * was copied. After a failure @to may be there.
 */
int file_copy(const char *from, const char *to, mode_t mode, const char *what, const struct vmhost_while *w,
              char ret[SHA256_TEXT], struct err *err) _must_check_;
/* Hexadecimal digits of either case, 64 of them. */
bool sha256_is_valid(const char *text);

#endif
