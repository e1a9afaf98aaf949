/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk I/O behind blkio.h. The ring's completions and the worker's arrive through one eventfd each, so that the loop sees both.
 */
#include "config.h"
#include "hypervisor/dev/blkio.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include <unistd.h>
#include "common/util.h"

#define RING_ENTRIES 256u
#define BOUNCE_BYTES (256u * 1024)
#define BOUNCE_ALIGN 4096u
#define WORKER_IOV   64u
#define WORKER_STACK (128u * 1024)
#define HELD_LOOK_NS (20 * NS_PER_MS)

struct queue {
	struct blkio_req *first, **last;
};

struct blkio {
	struct loop *loop;
	struct io_uring ring;
	bool uring;       /* ring is there */
	unsigned in_ring; /* requests that the kernel has or will get with the next submit */
	unsigned unsubmitted;
	struct loop_fd *ring_src, *done_src;
	struct queue waiting; /* for the next kick, room in the ring, or a lease */

	const struct deadline_page *guard; /* borrowed, NULL: none */
	struct loop_timer *look;           /* at it again, while something is held back, deferred or refused */
	bool deferred;
	atomic_bool drop; /* what is held back fails */

	pthread_t thread;
	bool started, quit;
	pthread_mutex_t lock; /* of the two queues and quit */
	pthread_cond_t cond;
	struct queue todo, finished;
	unsigned in_worker;
	int done_fd;  /* eventfd: finished is not empty */
	void *bounce; /* worker's, made when first needed */
};

static void q_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}
static void q_put(struct queue *q, struct blkio_req *r)
{
	r->next = NULL;
	*q->last = r;
	q->last = &r->next;
}
static struct blkio_req *q_get(struct queue *q)
{
	struct blkio_req *r = q->first;

	if (r) {
		q->first = r->next;
		if (!q->first)
			q->last = &q->first;
	}
	return r;
}

/* Held back: see blkio_guard() ----------------------------------------------------------------------------------------- */

static bool held(const struct blkio *b)
{
	return b->guard && deadline_page_over(b->guard);
}

int blkio_may_write(struct blkio *b, bool wait)
{
	while (held(b)) {
		if (atomic_load(&b->drop))
			return -ECANCELED;
		if (!wait)
			return -ETIME;
		usleep(HELD_LOOK_NS / 1000);
	}
	return 0;
}

/* Asked by the worker right before each system call that changes a disk. False: never. */
static bool may_write(struct blkio *b)
{
	return !blkio_may_write(b, true);
}

/* Worker -------------------------------------------------------------------------------------------------------------- */

/* The part of @iov from octet @skip on, at most WORKER_IOV segments. */
static unsigned iov_window(const struct blkio_req *r, uint64_t skip, struct iovec *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_iov && n < WORKER_IOV; i++) {
		if (skip >= r->iov[i].iov_len) {
			skip -= r->iov[i].iov_len;
			continue;
		}
		out[n++] = (struct iovec){ (uint8_t *)r->iov[i].iov_base + skip, r->iov[i].iov_len - skip };
		skip = 0;
	}
	return n;
}

static int rw_plain(struct blkio *b, const struct blkio_req *r)
{
	struct iovec iov[WORKER_IOV];

	for (uint64_t at = 0; at < r->bytes;) {
		unsigned n = iov_window(r, at, iov);
		if (r->op != BLKIO_READ && !may_write(b))
			return -ECANCELED;
		ssize_t k = r->op == BLKIO_READ
		                    ? preadv(r->fd, iov, (int)n, (off_t)(r->offset + at))
		                    : pwritev2(r->fd, iov, (int)n, (off_t)(r->offset + at), r->dsync ? RWF_DSYNC : 0);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EIO;
		at += (uint64_t)k;
	}
	return 0;
}

static void copy_window(const struct blkio_req *r, uint64_t at, uint8_t *buf, size_t len, bool to_iov)
{
	for (size_t done = 0; done < len;) {
		struct iovec iov[WORKER_IOV];
		unsigned n = iov_window(r, at + done, iov);
		for (unsigned i = 0; i < n && done < len; i++) {
			size_t k = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;
			if (to_iov)
				memcpy(iov[i].iov_base, buf + done, k);
			else
				memcpy(buf + done, iov[i].iov_base, k);
			done += k;
		}
	}
}

/* A read or a write by way of our own aligned buffer; zeroes have no other way. */
static int rw_bounce(struct blkio *b, const struct blkio_req *r)
{
	if (!b->bounce && posix_memalign(&b->bounce, BOUNCE_ALIGN, BOUNCE_BYTES))
		return -ENOMEM;
	for (uint64_t at = 0; at < r->bytes;) {
		size_t len = r->bytes - at < BOUNCE_BYTES ? (size_t)(r->bytes - at) : BOUNCE_BYTES;
		ssize_t k;
		if (r->op == BLKIO_READ) {
			k = pread(r->fd, b->bounce, len, (off_t)(r->offset + at));
			if (k > 0)
				copy_window(r, at, b->bounce, (size_t)k, true);
		} else {
			struct iovec iov = { b->bounce, len };
			if (r->op == BLKIO_WRITE)
				copy_window(r, at, b->bounce, len, false);
			else
				memset(b->bounce, 0, len);
			if (!may_write(b))
				return -ECANCELED;
			k = pwritev2(r->fd, &iov, 1, (off_t)(r->offset + at), r->dsync ? RWF_DSYNC : 0);
		}
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EIO;
		at += (uint64_t)k;
	}
	return 0;
}

static int discard(struct blkio *b, const struct blkio_req *r)
{
	int mode = FALLOC_FL_KEEP_SIZE |
	           (r->op == BLKIO_ZERO && !r->may_unmap ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE);

	if (!may_write(b))
		return -ECANCELED;
	if (!fallocate(r->fd, mode, (off_t)r->offset, (off_t)r->bytes))
		return 0;
	if (errno == EOPNOTSUPP && r->op == BLKIO_ZERO && (mode & FALLOC_FL_ZERO_RANGE) && r->may_unmap &&
	    !fallocate(r->fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (off_t)r->offset, (off_t)r->bytes))
		return 0;
	if (errno != EOPNOTSUPP && errno != ENODEV && errno != ENOTTY)
		return -errno;
	/* a discard is a hint, zeroes are not */
	return r->op == BLKIO_DISCARD ? 0 : rw_bounce(b, r);
}

static int work(struct blkio *b, struct blkio_req *r)
{
	switch (r->op) {
	case BLKIO_READ:
	case BLKIO_WRITE: {
		int ret = r->bounce ? -EINVAL : rw_plain(b, r);
		/* O_DIRECT may refuse more than we foresaw */
		return ret == -EINVAL ? rw_bounce(b, r) : ret;
	}
	case BLKIO_FLUSH:
		if (!may_write(b))
			return -ECANCELED;
		return fdatasync(r->fd) < 0 ? -errno : 0;
	case BLKIO_CALL:
		return r->call(r);
	case BLKIO_DISCARD:
		return discard(b, r);
	default: {
		int ret = discard(b, r);
		if (!ret && r->dsync)
			ret = !may_write(b) ? -ECANCELED : fdatasync(r->fd) < 0 ? -errno : 0;
		return ret;
	}
	}
}

static void *worker(void *arg)
{
	struct blkio *b = arg;
	uint64_t one = 1;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		struct blkio_req *r = q_get(&b->todo);
		if (!r) {
			if (b->quit)
				break;
			pthread_cond_wait(&b->cond, &b->lock);
			continue;
		}
		pthread_mutex_unlock(&b->lock);
		r->res = work(b, r);
		pthread_mutex_lock(&b->lock);
		q_put(&b->finished, r);
		ssize_t k = write(b->done_fd, &one, sizeof(one));
		(void)k;
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static void to_worker(struct blkio *b, struct blkio_req *r)
{
	b->in_worker++;
	pthread_mutex_lock(&b->lock);
	q_put(&b->todo, r);
	pthread_cond_signal(&b->cond);
	pthread_mutex_unlock(&b->lock);
}

static void reap_worker(struct blkio *b)
{
	uint64_t n;

	if (read(b->done_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return;
	for (;;) {
		pthread_mutex_lock(&b->lock);
		struct blkio_req *r = q_get(&b->finished);
		pthread_mutex_unlock(&b->lock);
		if (!r)
			return;
		b->in_worker--;
		r->done(r, r->res);
	}
}

/* Ring ---------------------------------------------------------------------------------------------------------------- */

static bool to_ring(struct blkio *b, struct blkio_req *r)
{
	struct io_uring_sqe *e = b->in_ring < RING_ENTRIES ? io_uring_get_sqe(&b->ring) : NULL;

	if (!e)
		return false;
	if (r->op == BLKIO_FLUSH) {
		io_uring_prep_fsync(e, r->fd, IORING_FSYNC_DATASYNC);
	} else if (r->op == BLKIO_READ) {
		io_uring_prep_readv(e, r->fd, r->iov, r->n_iov, r->offset);
	} else {
		io_uring_prep_writev(e, r->fd, r->iov, r->n_iov, r->offset);
		e->rw_flags = r->dsync ? RWF_DSYNC : 0;
	}
	io_uring_sqe_set_data(e, r);
	b->in_ring++;
	b->unsubmitted++;
	return true;
}

static void fill_ring(struct blkio *b)
{
	while (b->waiting.first && to_ring(b, b->waiting.first))
		(void)q_get(&b->waiting);
}

static void reap_ring(struct blkio *b)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&b->ring, &cqe) == 0) {
		struct blkio_req *r = io_uring_cqe_get_data(cqe);
		int res = cqe->res;
		io_uring_cqe_seen(&b->ring, cqe);
		b->in_ring--;
		bool rw = r->op == BLKIO_READ || r->op == BLKIO_WRITE;
		if (res >= 0 && rw && (uint64_t)res < r->bytes)
			to_worker(b, r); /* short: the worker does it again, whole */
		else if (res == -EINTR || res == -EAGAIN || res == -EINVAL)
			to_worker(b,
			          r); /* EINVAL: an alignment that statx did not tell; the worker says the last word */
		else
			r->done(r, res < 0 ? res : 0);
	}
	blkio_kick(b);
}

static void on_ring(void *arg, int fd, uint32_t events)
{
	(void)fd, (void)events;
	reap_ring(arg);
}

static void on_done(void *arg, int fd, uint32_t events)
{
	(void)fd, (void)events;
	reap_worker(arg);
}

/* Interface ----------------------------------------------------------------------------------------------------------- */

void blkio_submit(struct blkio *b, struct blkio_req *r)
{
	if (!b->uring || r->bounce || r->op > BLKIO_FLUSH) {
		to_worker(b, r);
		return;
	}
	q_put(&b->waiting, r);
}

void blkio_finish(struct blkio *b, struct blkio_req *r, int res)
{
	uint64_t one = 1;

	r->res = res;
	b->in_worker++;
	pthread_mutex_lock(&b->lock);
	q_put(&b->finished, r);
	pthread_mutex_unlock(&b->lock);
	ssize_t k = write(b->done_fd, &one, sizeof(one));
	(void)k;
}

/* Nothing is handed to the kernel now. Look again soon, or give up what waits. */
static void hold(struct blkio *b)
{
	struct blkio_req *r;

	while (atomic_load(&b->drop) && (r = q_get(&b->waiting)))
		r->done(r, -ECANCELED);
	if (b->waiting.first || b->unsubmitted)
		loop_timer_in(b->look, HELD_LOOK_NS);
}

static void on_look(void *arg)
{
	blkio_kick(arg);
}

static void kick(struct blkio *b)
{
	if (!b->waiting.first && !b->unsubmitted)
		return;
	if (held(b)) {
		hold(b);
		return;
	}
	fill_ring(b);
	while (b->unsubmitted) {
		int r = io_uring_submit(&b->ring);
		if (r == -EINTR)
			continue;
		if (r <= 0) { /* no memory just now; and the guest may wait for this one, so that nothing else comes */
			loop_timer_in(b->look, HELD_LOOK_NS);
			return;
		}
		b->unsubmitted -= (unsigned)r < b->unsubmitted ? (unsigned)r : b->unsubmitted;
	}
}

void blkio_kick(struct blkio *b)
{
	if (b->deferred)
		loop_timer_in(b->look, 0);
	else
		kick(b);
}

void blkio_defer(struct blkio *b, bool on)
{
	b->deferred = on;
}

bool blkio_wait(struct blkio *b)
{
	struct pollfd p[2] = { { .fd = b->done_fd, .events = POLLIN },
		               { .fd = b->uring ? b->ring.ring_fd : -1, .events = POLLIN } };

	kick(b);
	if (!b->in_worker && !b->in_ring && !b->waiting.first)
		return true;
	if (atomic_load(&b->drop) && !b->in_worker && b->in_ring == b->unsubmitted && held(b))
		return false; /* the kernel had no room for them when they were allowed */
	poll(p, 2, b->unsubmitted || b->waiting.first ? 1 : -1);
	reap_worker(b);
	if (b->uring)
		reap_ring(b);
	return true;
}

void blkio_guard(struct blkio *b, const struct deadline_page *page)
{
	b->guard = page;
}

void blkio_drop_held(struct blkio *b)
{
	atomic_store(&b->drop, true);
}

bool blkio_uses_uring(const struct blkio *b)
{
	return b->uring;
}

int blkio_new(struct loop *l, struct blkio **ret, struct err *err)
{
	struct blkio *b = calloc(1, sizeof(*b));

	if (!b)
		return err_sys(err, ENOMEM, "cannot set up disk I/O");
	b->loop = l;
	q_init(&b->waiting);
	q_init(&b->todo);
	q_init(&b->finished);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->cond, NULL);
	b->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->done_fd >= 0)
		b->done_src = loop_add_fd(l, b->done_fd, EPOLLIN, on_done, b);
	/* containers and old kernels often forbid io_uring; HOSPES_IO_URING=0 does as well */
	const char *no = getenv("HOSPES_IO_URING");
	if (!(no && !strcmp(no, "0")) && io_uring_queue_init(RING_ENTRIES, &b->ring, 0) == 0) {
		b->uring = true;
		(void)io_uring_ring_dontfork(&b->ring);
		b->ring_src = loop_add_fd(l, b->ring.ring_fd, EPOLLIN, on_ring, b);
	}
	b->look = loop_add_timer(l, on_look, b);
	if (!b->done_src || !b->look || (b->uring && !b->ring_src)) {
		blkio_free(b);
		return err_sys(err, ENOMEM, "cannot set up disk I/O");
	}
	*ret = b;
	return 0;
}

int blkio_start(struct blkio *b, struct err *err)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	int r = pthread_create(&b->thread, &attr, worker, b);
	pthread_attr_destroy(&attr);
	if (r)
		return err_sys(err, r, "cannot start the disk thread");
	pthread_setname_np(b->thread, "blkio");
	b->started = true;
	return 0;
}

void blkio_free(struct blkio *b)
{
	if (!b)
		return;
	blkio_drop_held(b);
	if (b->started) {
		pthread_mutex_lock(&b->lock);
		b->quit = true;
		pthread_cond_signal(&b->cond);
		pthread_mutex_unlock(&b->lock);
		pthread_join(b->thread, NULL);
	}
	loop_del_timer(b->look);
	loop_del_fd(b->ring_src);
	loop_del_fd(b->done_src);
	if (b->uring)
		io_uring_queue_exit(&b->ring);
	if (b->done_fd >= 0)
		close(b->done_fd);
	free(b->bounce);
	pthread_cond_destroy(&b->cond);
	pthread_mutex_destroy(&b->lock);
	free(b);
}
