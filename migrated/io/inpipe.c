/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Target data plane: see inpipe.h. All threads do the same: take a frame from the socket, one thread at a time, then open and write it
 * while others take the next ones. So a frame is not handed from thread to thread, which costs more than writing it. What waits is
 * bounded: by the credits of honest sources, by the socket's high-water mark for all others.
 */
#include "config.h"
#include "migrated/io/inpipe.h"
#include <errno.h>
#include <fcntl.h>
#include <lz4.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zmq.h>
#include "common/util.h"
#include "migrated/io/hugehelp.h"
#include "migrated/io/priv.h"
#include "migrated/io/seal.h"

#define SESSIONS_MAX 64u
#define WORKERS_MAX  8u
#define ID_MAX       64u
#define ACK_OCTETS   (4u << 20) /* acknowledged at a time while there is more to do: waking threads costs */

struct in_job {
	struct insession *s;
	uint8_t id[ID_MAX];
	size_t id_len;
	struct wire_frame frame;
	zmq_msg_t hdr, body;
	uint64_t receive_ns; /* that taking it from the socket took */
};

struct in_stream {
	uint64_t next_seq; /* the reader's */
	/* under lock */
	uint64_t frames, octets; /* written */
	uint64_t said;           /* octets acknowledged */
	uint64_t expect;         /* frames, by Final */
	uint8_t id[ID_MAX];      /* who sends it, for acknowledgements */
	size_t id_len;
};

struct insession {
	struct inpipe *p;
	struct insession_config cfg;
	struct memmap mem; /* as cfg.mem says, which may go before a thread is done; owned once @left */
	struct in_stream stream[MIG_STREAMS_MAX];
	uint64_t expect_state; /* under lock, as all below */
	bool expecting, told, dead;
	bool left;                     /* by insession_free(): the thread that does the last job ends it */
	unsigned jobs;                 /* being worked on */
	uint64_t work_ns;              /* all threads' */
	struct seal seal[WORKERS_MAX]; /* each its worker's */
	struct in_stats st;
	struct err err;
};

struct inpipe {
	struct loop *loop;
	pthread_mutex_t reading; /* taken before lock: whoever holds it uses the socket */
	void *sock;
	int wake_fd; /* eventfd: acks wait for a reader that sleeps, or quit */
	pthread_mutex_t lock;
	struct insession *session[SESSIONS_MAX];
	bool quit;
	bool acks, acks_idle; /* due; due when nothing is there to be read */
	struct worker {
		struct inpipe *p;
		pthread_t thread;
	} worker[WORKERS_MAX];
	unsigned n_workers;
};

/* Told on the loop: the session may be freed meanwhile, so look it up again. */
struct in_note {
	struct inpipe *p;
	uint64_t session;
	bool bad;
	struct err err;
};

static struct insession *find(struct inpipe *p, uint64_t session)
{
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		if (p->session[i] && p->session[i]->cfg.session == session)
			return p->session[i];
	return NULL;
}

static void note_run(void *arg)
{
	struct in_note *n = arg;

	pthread_mutex_lock(&n->p->lock);
	struct insession *s = find(n->p, n->session);
	pthread_mutex_unlock(&n->p->lock);
	if (s && n->bad)
		s->cfg.bad(s->cfg.arg, &n->err);
	else if (s)
		s->cfg.complete(s->cfg.arg);
	free(n);
}

/* Under lock. */
static void tell(struct insession *s, bool bad)
{
	struct in_note *n = s->told ? NULL : calloc(1, sizeof(*n));

	if (!n)
		return;
	s->told = true;
	s->dead |= bad;
	*n = (struct in_note){ .p = s->p, .session = s->cfg.session, .bad = bad, .err = s->err };
	if (loop_post(s->p->loop, note_run, n) < 0)
		free(n);
}

/* Under lock. */
static void session_bad(struct insession *s, int code, const char *what)
{
	if (!s->told)
		(void)err_set(&s->err, code, "receiving guest memory: %s", what);
	tell(s, true);
}

/* Under lock: is all there that Final counted? Whatever is still under way may be a forgery: wait for its end. */
static void check_complete(struct insession *s)
{
	if (!s->expecting || s->told || s->jobs)
		return;
	bool all = true;
	for (unsigned i = 0; i < MIG_STREAMS_MAX; i++) {
		if (s->stream[i].frames > s->stream[i].expect) {
			session_bad(s, EPROTO, "more frames came than the source counted");
			return;
		}
		all &= s->stream[i].frames == s->stream[i].expect;
	}
	if (!all)
		return;
	if (s->st.state_octets != s->expect_state)
		session_bad(s, EPROTO, "the guest's state is not whole");
	else
		tell(s, false);
}

static int write_at(int fd, const uint8_t *p, size_t len, uint64_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Octets of a pages frame, in order: plain ones, or sealed ones that are opened on their way. */
struct octets {
	const uint8_t *p;
	struct seal *seal; /* NULL: plain */
	uint8_t *scratch;  /* room for a whole payload, apart from @p */
};

static int octets_take(struct octets *o, uint8_t *to, size_t len)
{
	const uint8_t *from = o->p;

	o->p += len;
	if (o->seal)
		return seal_open_part(o->seal, from, len, to);
	memcpy(to, from, len);
	return 0;
}

/*
 * Through the mapping, not by pwrite(): writers of one file wait for one another, spinning. Populating a run first saves a page
 * fault for each of its pages; memory that is there already costs next to nothing.
 */
static int write_data(const struct memmap_region *r, const struct wire_frame *f, struct octets *o, struct in_stats *st)
{
	uint64_t page = 0, then = now_ns(), now;
	int rc = 0;

	for (uint32_t i = 0; i < f->n_runs && rc == 0; i++) {
		uint64_t count = f->runs[2 * i + 1] >> 1, at, len = count * PAGE_BYTES;
		page += f->runs[2 * i];
		at = page * PAGE_BYTES;
		if (!(f->runs[2 * i + 1] & 1)) {
			if (f->dense)
				memmap_huge(r, page, count, f->dense_end);
			bool there = madvise(r->base + at, len, MADV_POPULATE_WRITE) == 0;
			now = now_ns();
			st->place_ns += now - then;
			if (there) {
				rc = octets_take(o, r->base + at, len);
			} else { /* no memory (a store through the mapping would be a SIGBUS), or an old kernel */
				rc = octets_take(o, o->scratch, len);
				if (rc == 0)
					rc = write_at(r->fd, o->scratch, len, at);
			}
			then = now_ns();
			st->open_ns += then - now;
		}
		page += count;
	}
	return rc;
}

static int write_zeros(const struct memmap_region *r, const struct wire_frame *f, struct in_stats *st)
{
	uint64_t page = 0, begun = now_ns();

	for (uint32_t i = 0; i < f->n_runs; i++) {
		uint64_t count = f->runs[2 * i + 1] >> 1;
		page += f->runs[2 * i];
		if (f->runs[2 * i + 1] & 1) {
			st->pages_zero += count;
			if (fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(page * PAGE_BYTES),
			              (off_t)(count * PAGE_BYTES)) < 0)
				return -errno;
		}
		page += count;
	}
	st->place_ns += now_ns() - begun;
	return 0;
}

/*
 * Raw pages are opened straight into guest memory, before their seal is proved. A wrong one ends the session, and this memory goes
 * with the incoming domain (check_complete() counts nothing as there while a frame is being opened; after it none is taken).
 */
static int apply_raw(const struct memmap_region *r, struct seal *seal, const struct wire_frame *f, const void *hdr,
                     size_t hdr_len, const uint8_t *body, uint8_t *scratch, struct in_stats *st)
{
	struct octets o = { .p = body, .seal = seal, .scratch = scratch };

	int rc = seal_open_begin(seal, f->stream, f->seq, hdr, hdr_len);
	if (rc == 0)
		rc = write_data(r, f, &o, st);
	return rc < 0 ? rc : seal_open_end(seal, body + f->raw_bytes);
}

static int apply_lz4(const struct memmap_region *r, const struct wire_frame *f, const uint8_t *data, uint8_t *scratch,
                     struct in_stats *st)
{
	struct octets o = { .p = data, .scratch = scratch };

	return write_data(r, f, &o, st);
}

int inpipe_apply(const struct insession_config *cfg, struct seal *seal, const struct wire_frame *f, const void *hdr,
                 size_t hdr_len, const uint8_t *body, size_t body_len, uint8_t *scratch, uint8_t *scratch2,
                 struct in_stats *st)
{
	const struct memmap_region *mem = &cfg->mem->r[f->region];
	bool pages = f->kind == WIRE_FRAME_PAGES, raw = f->codec == WIRE_CODEC_RAW;
	const uint8_t *data = scratch;

	if (body_len < WIRE_TAG_BYTES || body_len > WIRE_PAYLOAD_MAX + WIRE_TAG_BYTES || f->region >= cfg->mem->n)
		return -EPROTO;
	size_t len = body_len - WIRE_TAG_BYTES;
	int r = raw && len != f->raw_bytes ? -EPROTO : pages ? wire_runs_check(f, mem->pages) : 0;
	if (r < 0)
		return r;
	uint64_t begun = now_ns();
	if (pages && raw)
		r = apply_raw(mem, seal, f, hdr, hdr_len, body, scratch, st);
	else
		r = seal_open(seal, f->stream, f->seq, hdr, hdr_len, body, body_len, scratch);
	if (r < 0)
		return r;
	if (!raw) {
		int n = LZ4_decompress_safe((const char *)scratch, (char *)scratch2, (int)len, (int)f->raw_bytes);
		if (n < 0 || (uint32_t)n != f->raw_bytes)
			return -EPROTO;
		data = scratch2;
	}
	if (!pages || !raw)
		st->open_ns += now_ns() - begun;
	st->frames++;
	st->octets += body_len + hdr_len;
	if (pages) {
		if (!raw)
			r = apply_lz4(mem, f, data, scratch, st);
		st->pages_data += f->raw_bytes / PAGE_BYTES;
		return r < 0 ? r : write_zeros(mem, f, st);
	}
	if (f->offset > cfg->state_max || f->raw_bytes > cfg->state_max - f->offset)
		return -EPROTO;
	st->state_octets += f->raw_bytes;
	return write_at(cfg->state_fd, data, f->raw_bytes, f->offset);
}

static const char *apply_error(int r)
{
	switch (r) {
	case -EBADMSG:
		return "a frame's seal is wrong";
	case -EPROTO:
		return "a frame makes no sense";
	case -ENOSPC:
	case -ENOMEM:
		return "no memory left on this host";
	default:
		return strerror(-r);
	}
}

static void wake(struct inpipe *p)
{
	uint64_t one = 1;

	if (write(p->wake_fd, &one, sizeof(one)) < 0)
		return; /* full: it is awake */
}

static void job_free(struct in_job *j)
{
	zmq_msg_close(&j->hdr);
	zmq_msg_close(&j->body);
	free(j);
}

/* No thread sees it. */
static void session_drop(struct insession *s)
{
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		seal_done(&s->seal[i]);
	free(s);
}

/* True: an acknowledgement is due. */
static bool job_do(struct inpipe *p, struct in_job *j, unsigned worker, uint8_t *scratch, uint8_t *scratch2)
{
	struct insession *s = j->s;
	struct in_stats st = { 0 };
	size_t body_len = zmq_msg_size(&j->body);
	uint64_t begun = now_ns();

	int r = inpipe_apply(&s->cfg, &s->seal[worker], &j->frame, zmq_msg_data(&j->hdr), zmq_msg_size(&j->hdr),
	                     zmq_msg_data(&j->body), body_len, scratch, scratch2, &st);
	pthread_mutex_lock(&p->lock);
	struct in_stream *k = &s->stream[j->frame.stream];
	s->work_ns += now_ns() - begun;
	s->st.frames += st.frames;
	s->st.octets += st.octets;
	s->st.pages_data += st.pages_data;
	s->st.pages_zero += st.pages_zero;
	s->st.state_octets += st.state_octets;
	s->st.receive_ns += j->receive_ns;
	s->st.open_ns += st.open_ns;
	s->st.place_ns += st.place_ns;
	if (r < 0) {
		session_bad(s, -r, apply_error(r));
	} else {
		k->frames++;
		k->octets += body_len - WIRE_TAG_BYTES;
		memcpy(k->id, j->id, j->id_len);
		k->id_len = j->id_len;
	}
	s->jobs--;
	check_complete(s);
	bool much = k->octets - k->said >= ACK_OCTETS, last = !s->jobs, over = s->left && last;
	p->acks |= much;
	p->acks_idle |= last;
	pthread_mutex_unlock(&p->lock);
	if (over) {
		memmap_done(&s->mem);
		close(s->cfg.state_fd);
		session_drop(s);
	}
	return much || last;
}

/* A whole message is in @j (hdr, body): is it a job? Otherwise it is dropped. */
static bool rx_frame(struct inpipe *p, struct in_job *j)
{
	if (wire_frame_unpack(zmq_msg_data(&j->hdr), zmq_msg_size(&j->hdr), &j->frame) < 0) {
		job_free(j);
		return false;
	}
	pthread_mutex_lock(&p->lock);
	struct insession *s = find(p, j->frame.session);
	unsigned k = j->frame.stream;
	if (!s || s->dead || s->told || k >= s->cfg.streams) {
		pthread_mutex_unlock(&p->lock);
		job_free(j);
		return false;
	}
	if (j->frame.seq != s->stream[k].next_seq) {
		session_bad(s, EPROTO, "a frame was lost or repeated");
		pthread_mutex_unlock(&p->lock);
		job_free(j);
		return false;
	}
	s->stream[k].next_seq++;
	s->jobs++;
	j->s = s;
	pthread_mutex_unlock(&p->lock);
	return true;
}

/* Read one message: [identity][header][payload]. Anything else is dropped: *ret is NULL then. False: nothing there. */
static bool rx_one(struct inpipe *p, struct in_job **ret)
{
	zmq_msg_t id;
	unsigned parts = 0;
	uint64_t begun = now_ns();

	*ret = NULL;
	zmq_msg_init(&id);
	if (zmq_msg_recv(&id, p->sock, ZMQ_DONTWAIT) < 0) {
		zmq_msg_close(&id);
		return false;
	}
	struct in_job *j = calloc(1, sizeof(*j));
	int more = zmq_msg_more(&id);
	if (j) {
		zmq_msg_init(&j->hdr);
		zmq_msg_init(&j->body);
		j->id_len = zmq_msg_size(&id) <= ID_MAX ? zmq_msg_size(&id) : 0;
		memcpy(j->id, zmq_msg_data(&id), j->id_len);
	}
	while (more) {
		zmq_msg_t drop, *m = j && parts == 0 ? &j->hdr : j && parts == 1 ? &j->body : &drop;
		if (m == &drop)
			zmq_msg_init(m);
		if (zmq_msg_recv(m, p->sock, 0) < 0)
			break;
		more = zmq_msg_more(m);
		if (m == &drop)
			zmq_msg_close(m);
		parts++;
	}
	zmq_msg_close(&id);
	if (j)
		j->receive_ns = now_ns() - begun;
	if (j && parts == 2 && j->id_len)
		*ret = rx_frame(p, j) ? j : NULL;
	else if (j)
		job_free(j);
	return true;
}

/* Whatever was written and not acknowledged yet, of one session, under lock: the newest count says all. */
static unsigned acks_of(struct insession *s, struct wire_credit *c, const struct in_stream **who)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MIG_STREAMS_MAX; i++) {
		struct in_stream *k = &s->stream[i];
		if (k->said == k->octets)
			continue;
		k->said = k->octets;
		c[n] = (struct wire_credit){ .session = s->cfg.session,
			                     .stream = i,
			                     .frames = k->frames,
			                     .octets = k->octets,
			                     .work_ns = s->work_ns };
		who[n++] = k;
	}
	return n;
}

static void send_acks(struct inpipe *p)
{
	struct wire_credit c[MIG_STREAMS_MAX];
	const struct in_stream *who[MIG_STREAMS_MAX];
	struct buf b = { 0 };

	pthread_mutex_lock(&p->lock); /* sends do not wait, they only put into a queue */
	p->acks = p->acks_idle = false;
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		unsigned acks = p->session[i] ? acks_of(p->session[i], c, who) : 0;
		for (unsigned k = 0; k < acks; k++) {
			buf_reset(&b);
			if (wire_credit_pack(&c[k], &b) == 0 &&
			    zmq_send(p->sock, who[k]->id, who[k]->id_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
				(void)zmq_send(p->sock, b.data, b.len, ZMQ_DONTWAIT);
		}
	}
	pthread_mutex_unlock(&p->lock);
	buf_done(&b);
}

/* By the reader. The next frame that is to be opened; NULL: the pipe ends. */
static struct in_job *next_job(struct inpipe *p)
{
	for (;;) {
		zmq_pollitem_t it[2] = { { .socket = p->sock, .events = ZMQ_POLLIN },
			                 { .fd = p->wake_fd, .events = ZMQ_POLLIN } };
		struct in_job *j;
		uint64_t n;

		pthread_mutex_lock(&p->lock);
		bool quit = p->quit, acks = p->acks, idle = p->acks_idle;
		pthread_mutex_unlock(&p->lock);
		if (quit)
			return NULL;
		if (acks)
			send_acks(p);
		if (rx_one(p, &j)) {
			if (j)
				return j;
			continue;
		}
		if (idle) {
			send_acks(p);
			continue;
		}
		zmq_poll(it, 2, -1);
		if (it[1].revents && read(p->wake_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
			return NULL;
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct inpipe *p = w->p;
	_cleanup_free_ uint8_t *scratch = malloc(WIRE_PAYLOAD_MAX + 64), *scratch2 = malloc(WIRE_PAYLOAD_MAX + 64);
	bool due = false;

	priv_none();
	if (!scratch || !scratch2)
		return NULL; /* the other workers serve; without any, sources time out */
	for (;;) {
		if (pthread_mutex_trylock(&p->reading) != 0) {
			if (due)
				wake(p); /* the reader may sleep until the next frame, which may wait for this acknowledgement */
			pthread_mutex_lock(&p->reading);
		}
		struct in_job *j = next_job(p);
		pthread_mutex_unlock(&p->reading);
		if (!j) {
			wake(p); /* for the next one */
			hugehelp_end();
			return NULL;
		}
		due = job_do(p, j, (unsigned)(w - p->worker), scratch, scratch2);
		job_free(j);
	}
}

struct inpipe *inpipe_new(struct loop *loop, void *sock, unsigned workers, struct err *err)
{
	struct inpipe *p = calloc(1, sizeof(*p));

	if (!p) {
		zmq_close(sock);
		(void)err_sys(err, ENOMEM, "data socket");
		return NULL;
	}
	p->loop = loop;
	p->sock = sock;
	pthread_mutex_init(&p->reading, NULL);
	pthread_mutex_init(&p->lock, NULL);
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = p->wake_fd < 0 ? -errno : 0;
	for (unsigned i = 0; i < workers && i < WORKERS_MAX && r == 0; i++) {
		p->worker[i].p = p;
		r = -pthread_create(&p->worker[i].thread, NULL, worker_main, &p->worker[i]);
		if (r == 0)
			p->n_workers++;
	}
	if (r < 0) {
		(void)err_sys(err, r, "threads of the data socket");
		inpipe_free(p);
		return NULL;
	}
	return p;
}

void inpipe_free(struct inpipe *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_mutex_unlock(&p->lock);
	if (p->wake_fd >= 0)
		wake(p);
	for (unsigned i = 0; i < p->n_workers; i++)
		pthread_join(p->worker[i].thread, NULL);
	zmq_close(p->sock);
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	pthread_mutex_destroy(&p->reading);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static bool session_list(struct inpipe *p, struct insession *s)
{
	bool room = false;

	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < SESSIONS_MAX && !room; i++) {
		room = !p->session[i];
		if (room)
			p->session[i] = s;
	}
	pthread_mutex_unlock(&p->lock);
	return room;
}

struct insession *insession_new(struct inpipe *p, const struct insession_config *cfg, struct err *err)
{
	struct insession *s = calloc(1, sizeof(*s));
	int r = s ? 0 : -ENOMEM;

	for (unsigned i = 0; i < p->n_workers && r == 0; i++)
		r = seal_init(&s->seal[i], cfg->key);
	if (r == 0) {
		s->p = p;
		s->cfg = *cfg;
		s->mem = *cfg->mem;
		s->cfg.mem = &s->mem;
		if (session_list(p, s))
			return s;
		r = -ENOMEM;
	}
	if (s)
		session_drop(s);
	(void)err_set(err, -r, "no room for another incoming migration");
	return NULL;
}

void insession_free(struct insession *s, struct memmap *mem, int *state_fd)
{
	if (!s)
		return;
	struct inpipe *p = s->p;
	pthread_mutex_lock(&p->lock);
	s->dead = s->told = true;
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		if (p->session[i] == s)
			p->session[i] = NULL;
	s->left = s->jobs;
	bool left = s->left;
	if (left) {
		*mem = (struct memmap){ 0 };
		*state_fd = -1;
	}
	pthread_mutex_unlock(&p->lock);
	if (!left)
		session_drop(s);
}

void insession_expect(struct insession *s, const uint64_t *frames, unsigned n, uint64_t state_bytes)
{
	pthread_mutex_lock(&s->p->lock);
	for (unsigned i = 0; i < n && i < MIG_STREAMS_MAX; i++)
		s->stream[i].expect = frames[i];
	s->expect_state = state_bytes;
	s->expecting = true;
	check_complete(s);
	pthread_mutex_unlock(&s->p->lock);
}

void insession_stats(struct insession *s, struct in_stats *ret)
{
	pthread_mutex_lock(&s->p->lock);
	*ret = s->st;
	pthread_mutex_unlock(&s->p->lock);
}
