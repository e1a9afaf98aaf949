/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See qcow2fix.h. */
#include "config.h"
#include "tests/unit/qcow2fix.h"

#include <fcntl.h>
#include <sys/wait.h>
#include "common/util.h"

char q_out[4096];

bool q_have_tools(void)
{
	static const char *const program[] = { "qemu-img", "qemu-io" };

	for (size_t i = 0; i < ARRAY_SIZE(program); i++) {
		_cleanup_free_ char *cmd = xasprintf("command -v %s >/dev/null", program[i]);
		if (system(cmd)) {
			print_message("missing: %s (package qemu-utils)\n", program[i]);
			return false;
		}
	}
	return true;
}

int q_sh(const char *fmt, ...)
{
	char cmd[2048];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(cmd, sizeof(cmd) - 16, fmt, ap);
	va_end(ap);
	assert_true(n > 0 && (size_t)n < sizeof(cmd) - 16);
	_cleanup_free_ char *line = xasprintf("cd '%s' && { %s; } 2>&1", test_dir, cmd);
	FILE *p = popen(line, "r");
	assert_non_null(p);
	size_t len = fread(q_out, 1, sizeof(q_out) - 1, p);
	q_out[len] = 0;
	char rest[512];
	while (fread(rest, 1, sizeof(rest), p))
		;
	int st = pclose(p);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 255;
}

void qf_start(struct qfix *f, const char *name)
{
	memset(f, 0, sizeof(*f));
	snprintf(f->path, sizeof(f->path), "%s/%s", test_dir, name);
	f->loop = loop_new();
	assert_non_null(f->loop);
	assert_int_equal(blkio_new(f->loop, &f->blkio, NULL), 0);
	assert_int_equal(blkio_start(f->blkio, NULL), 0);
}

int qf_try(struct qfix *f, struct err *err)
{
	struct dom_disk k = { .source = f->path, .format = DOM_FORMAT_QCOW2, .readonly = f->readonly };
	struct imgchain chain;
	int r = imgchain_open(NULL, &k, "disk vda", &chain, err);

	if (r < 0)
		return r;
	f->opts.what = "disk vda";
	f->opts.blkio = f->blkio;
	f->opts.writable = !f->readonly;
	if (f->opts.direct)
		assert_int_equal(fcntl(chain.m[0].fd, F_SETFL, O_DIRECT), 0);
	r = qcow2_new(&chain, &f->opts, &f->q, err);
	if (r < 0) {
		imgchain_done(&chain);
		return r;
	}
	f->size = qcow2_size(f->q);
	r = qcow2_own(f->q, err);
	if (r < 0) {
		qcow2_free(f->q);
		f->q = NULL;
	}
	return r;
}

void qf_open(struct qfix *f)
{
	struct err err = { 0 };
	int r = qf_try(f, &err);

	if (r < 0)
		print_error("%s\n", err.text);
	assert_int_equal(r, 0);
}

void qf_close(struct qfix *f)
{
	assert_int_equal(qcow2_sync(f->q), 0);
	assert_false(qcow2_dirty(f->q));
	qcow2_disown(f->q);
	qf_drop(f);
}

void qf_drop(struct qfix *f)
{
	qcow2_free(f->q);
	f->q = NULL;
}

void qf_end(struct qfix *f)
{
	qcow2_free(f->q);
	blkio_free(f->blkio);
	loop_free(f->loop);
	free(f->model);
	memset(f, 0, sizeof(*f));
}

static void on_done(struct blkio_req *io, int res)
{
	struct qio *q = (struct qio *)io;

	assert_false(q->done);
	q->done = true;
	q->res = res;
}

void qf_begin(struct qfix *f, struct qio *io, enum blkio_op op, uint64_t off, void *buf, uint64_t len)
{
	uint64_t cut = len > 1024 ? 512 : 0; /* two segments where that is possible */

	io->done = false;
	io->iov[0] = (struct iovec){ buf, cut ? cut : len };
	io->iov[1] = (struct iovec){ (uint8_t *)buf + cut, len - cut };
	io->io = (struct blkio_req){ .op = op,
		                     .offset = off,
		                     .bytes = len,
		                     .iov = io->iov,
		                     .n_iov = cut ? 2 : 1,
		                     .dsync = f->opts.dsync,
		                     .may_unmap = true,
		                     .done = on_done };
	qcow2_submit(f->q, &io->io);
	blkio_kick(f->blkio);
}

int qf_wait(struct qfix *f, struct qio *io)
{
	while (!io->done)
		assert_true(blkio_wait(f->blkio));
	return io->res;
}

int qf_io(struct qfix *f, enum blkio_op op, uint64_t off, void *buf, uint64_t len)
{
	struct qio io;

	qf_begin(f, &io, op, off, buf, len);
	return qf_wait(f, &io);
}

void qf_model(struct qfix *f)
{
	_cleanup_free_ char *raw = xasprintf("%s.raw", f->path);
	char *data = NULL;
	size_t len;

	int r = q_sh("qemu-img convert -U -O raw '%s' '%s'", f->path, raw);
	if (r)
		print_error("%s\n", q_out);
	assert_int_equal(r, 0);
	assert_int_equal(file_read(raw, 256u << 20, &data, &len), 0);
	free(f->model);
	f->model = (uint8_t *)data;
	f->size = len;
	unlink(raw);
}

void qf_write(struct qfix *f, uint64_t off, uint64_t len, uint8_t seed)
{
	for (uint64_t i = 0; i < len; i++)
		f->model[off + i] = (uint8_t)(seed + i / Q_SECTOR);
	_cleanup_free_ void *buf = NULL;
	assert_int_equal(posix_memalign(&buf, 4096, len), 0);
	memcpy(buf, f->model + off, len);
	assert_int_equal(qf_io(f, BLKIO_WRITE, off, buf, len), 0);
}

static void same(const uint8_t *got, const uint8_t *want, uint64_t off, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++) {
		if (got[i] == want[i])
			continue;
		print_error("octet %llu: %u instead of %u\n", (unsigned long long)(off + i), got[i], want[i]);
		fail();
	}
}

void qf_compare(struct qfix *f)
{
	const uint64_t step = 1 << 20;
	_cleanup_free_ void *buf = NULL;

	assert_int_equal(posix_memalign(&buf, 4096, step), 0);
	for (uint64_t off = 0; off < (f->size & ~511ull); off += step) {
		uint64_t len = (f->size & ~511ull) - off < step ? (f->size & ~511ull) - off : step;
		memset(buf, 0xa5, len);
		assert_int_equal(qf_io(f, BLKIO_READ, off, buf, len), 0);
		same(buf, f->model + off, off, len);
	}
}

void qf_verify(struct qfix *f, bool no_leaks)
{
	_cleanup_free_ uint8_t *want = f->model;
	uint64_t size = f->size;
	int r = q_sh("qemu-img check '%s'", f->path);

	if (r && (r != 3 || no_leaks)) {
		print_error("qemu-img check: %d: %s\n", r, q_out);
		fail();
	}
	f->model = NULL;
	qf_model(f);
	assert_int_equal(f->size, size);
	same(f->model, want, 0, size);
}
