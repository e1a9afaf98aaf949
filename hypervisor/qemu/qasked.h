/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU's program answered to questions that it answers alike until it is replaced: kept in <run>/qemu-asked, by root only, in a fixed
 * number of files. An answer counts only for the same question to the same file (device, inode, size, times), in the same boot and, with
 * KVM, for the same /dev/kvm. What cannot be read or written is as if it were not there.
 */
#ifndef HOSPES_QEMU_QASKED_H
#define HOSPES_QEMU_QASKED_H

#include <stdbool.h>
#include <stddef.h>

#define QASKED_FILES 64u
#define QASKED_MAX   32768u /* octets of an answer that is kept */

struct qasked {
	char key[2048]; /* of program and question; empty: nothing is kept */
};

/* Before the question is asked. @question: what is told to @program. */
void qasked_about(struct qasked *q, const char *program, bool kvm, const char *question);
/* The answer from before into @buf (cut to @len, with NUL). False: there is none. */
bool qasked_known(const struct qasked *q, char *buf, size_t len);
/* Keep @answer, which is whole, if @program is still the same. */
void qasked_keep(const struct qasked *q, const char *program, bool kvm, const char *question, const char *answer);

#endif
