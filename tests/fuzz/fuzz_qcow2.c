/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: a qcow2 image with anything in it, as a guest's disk: opened, read, written, flushed. */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/dev/qcow2.h"

struct io {
	struct blkio_req io; /* first */
	bool done;
};

static void on_done(struct blkio_req *io, int res)
{
	FUZZ_CHECK(res <= 0);
	((struct io *)io)->done = true;
}

static void request(struct qcow2 *q, struct blkio *b, enum blkio_op op, uint64_t off, void *buf, size_t len)
{
	struct iovec v = { buf, len };
	struct io x = { .io = { .op = op, .offset = off, .bytes = len, .iov = &v, .n_iov = 1, .done = on_done } };

	if (op != BLKIO_FLUSH && (off + len > qcow2_size(q) || off + len < off))
		return;
	qcow2_submit(q, &x.io);
	blkio_kick(b);
	while (!x.done)
		FUZZ_CHECK(blkio_wait(b));
}

static void use(struct qcow2 *q, struct blkio *b)
{
	static uint8_t buf[20480];
	const uint64_t at[] = { 0, 3584, 65536, 131072, (qcow2_size(q) / 2) & ~511ull };

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		request(q, b, BLKIO_READ, at[i], buf, sizeof(buf));
		request(q, b, i % 2 ? BLKIO_WRITE : BLKIO_ZERO, at[i], buf, sizeof(buf));
		request(q, b, BLKIO_WRITE, at[i] + 512, buf, 1024);
	}
	request(q, b, BLKIO_FLUSH, 0, NULL, 0);
	request(q, b, BLKIO_DISCARD, 0, NULL, 65536);
	(void)!qcow2_sync(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_close_ int fd = memfd_create("fuzz", MFD_CLOEXEC);
	_cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", fd);
	struct dom_disk k = { .source = path, .format = DOM_FORMAT_QCOW2 };
	struct imgchain chain = { 0 };
	struct qcow2 *q = NULL;
	struct blkio *b = NULL;
	struct err err = { 0 };

	/* a file below is another file, which is not the input's to name */
	FUZZ_CHECK(fd >= 0 && write_full(fd, data, len) == 0);
	struct path_rules none = { 0 };
	if (imgchain_open(&none, &k, "disk", &chain, &err) == 0)
		__builtin_trap();
	struct qcow2_head h;
	uint64_t bytes;
	if (img_read_head(fd, path, "disk", &bytes, &h, &err) < 0) {
		FUZZ_CHECK(err.code > 0 && err.text[0]);
		return 0;
	}
	if (*h.backing)
		return 0;
	setenv("HOSPES_IO_URING", "0", 1);
	struct loop *l = loop_new();
	FUZZ_CHECK(l && blkio_new(l, &b, &err) == 0 && blkio_start(b, &err) == 0);
	struct qcow2_opts o = { .what = "disk", .blkio = b, .writable = true };
	FUZZ_CHECK(imgchain_open(NULL, &k, "disk", &chain, &err) == 0);
	FUZZ_CHECK(qcow2_new(&chain, &o, &q, &err) == 0);
	if (qcow2_own(q, &err) == 0)
		use(q, b);
	else
		FUZZ_CHECK(err.code > 0 && err.text[0]);
	qcow2_free(q);
	blkio_free(b);
	loop_free(l);
	return 0;
}
