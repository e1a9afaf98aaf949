/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A qcow2 image as qemu-img makes it, the disk of qcow2.h on it, and a model of what that disk must hold. Everything
 * asserts by itself. Requests are driven by the caller's thread; calls run on blkio's worker, as in hvdom.
 */
#ifndef HOSPES_TESTS_UNIT_QCOW2FIX_H
#define HOSPES_TESTS_UNIT_QCOW2FIX_H

#include "hypervisor/dev/qcow2.h"
#include "tests/unit/testutil.h"

#define Q_SECTOR 512u

struct qfix {
	char path[300];
	struct loop *loop;
	struct blkio *blkio;
	struct qcow2 *q; /* NULL: not open */
	uint8_t *model;  /* what the disk holds, NULL: none */
	uint64_t size;
	struct qcow2_opts opts; /* of the next qf_open(); blkio and what are filled in */
	bool readonly;
	const struct deadline_page *page;
};

bool q_have_tools(void); /* qemu-img and qemu-io; else says what is missing */
/*
 * Run a command line (with %s of the fixture's directory as printf wants it) by sh; returns its exit status. Its output
 * goes to q_out.
 */
int q_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
extern char q_out[4096];

void qf_start(struct qfix *f, const char *name); /* of a file in test_dir that exists */
int qf_try(struct qfix *f, struct err *err);     /* open and own: 0 or -errno */
void qf_open(struct qfix *f);                    /* the same, and it works */
void qf_close(struct qfix *f);                   /* sync, disown, free */
void qf_drop(struct qfix *f);                    /* free without a sync */
void qf_end(struct qfix *f);

struct qio {
	struct blkio_req io; /* first */
	struct iovec iov[2];
	bool done;
	int res;
};
/* Begin a request without waiting. @buf is borrowed until it has ended, which qf_wait() waits for. */
void qf_begin(struct qfix *f, struct qio *io, enum blkio_op op, uint64_t off, void *buf, uint64_t len);
int qf_wait(struct qfix *f, struct qio *io);
int qf_io(struct qfix *f, enum blkio_op op, uint64_t off, void *buf, uint64_t len);

void qf_model(struct qfix *f);                                    /* take the model from qemu-img convert */
void qf_write(struct qfix *f, uint64_t off, uint64_t len, uint8_t seed); /* to disk and model */
void qf_compare(struct qfix *f);                                  /* the disk reads as the model says */
/* After qf_close(): qemu-img sees what the model says, and finds no errors (leaks count only if @no_leaks). */
void qf_verify(struct qfix *f, bool no_leaks);

#endif
