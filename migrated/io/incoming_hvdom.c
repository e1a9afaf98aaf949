/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The incoming hvdom of a target session: fork, wait until it is ready, map its memory, hypercalls, and a certain end. */
#include "config.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/log.h"
#include "common/procs.h"
#include "common/util.h"
#include "hypervisor/api/hvcall.h"
#include "clusterd/guard/managed.h"
#include "common/fault.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/api/launch.h"
#include "migrated/io/incoming_int.h"

#define SPAWN_NS        (20 * NS_PER_S)
#define STATE_MAX_BYTES (256ull << 20)

static void ready_close(struct incoming *in)
{
	loop_del_fd(in->ready_src);
	in->ready_src = NULL;
	if (in->ready_fd >= 0)
		close(in->ready_fd);
	in->ready_fd = -1;
}

static void spawned(struct incoming *in, enum mig_reason reason)
{
	loop_timer_at(in->spawn_timer, MIG_NEVER);
	ready_close(in);
	in->attaching = false;
	if (in->xml_path)
		unlink(in->xml_path);
	incoming_feed(in, &(struct mig_event){ .kind = MIG_EV_SPAWNED, .reason = reason });
}

static int check_regions(const struct incoming *in, struct err *err)
{
	const Hospes__Mig__Offer *o = in->offer->offer;

	if (o->n_regions != in->mem.n)
		return err_set(err, EPROTO,
		               "the incoming hvdom has %u memory regions, the source %zu: different versions of hvdom",
		               in->mem.n, o->n_regions);
	for (unsigned i = 0; i < in->mem.n; i++)
		if (o->regions[i]->size_bytes != in->mem.r[i].size)
			return err_set(err, EPROTO, "memory region %u is of another size here", i);
	return 0;
}

static void data_complete(void *arg)
{
	incoming_feed(arg, &(struct mig_event){ .kind = MIG_EV_DATA_DONE });
}

static void data_bad(void *arg, const struct err *err)
{
	struct incoming *in = arg;

	snprintf(in->text, sizeof(in->text), "%s", err->text);
	log_warn("%s: %s", in->name, in->text);
	incoming_feed(in, &(struct mig_event){ .kind = MIG_EV_DATA_BAD, .reason = MIG_REASON_DATA });
}

static int open_data(struct incoming *in, struct err *err)
{
	const Hospes__Mig__Offer *o = in->offer->offer;
	struct insession_config cfg = { .session = in->session,
		                        .streams = o->streams,
		                        .mem = &in->mem,
		                        .state_max = STATE_MAX_BYTES,
		                        .complete = data_complete,
		                        .bad = data_bad,
		                        .arg = in };

	in->state_fd = memfd_create("state", MFD_CLOEXEC);
	if (in->state_fd < 0)
		return err_sys(err, errno, "memory for the state");
	cfg.state_fd = in->state_fd;
	memcpy(cfg.key, o->data_key.data, sizeof(cfg.key));
	in->io_cpu_ns = zsock_io_cpu_ns();
	in->data = insession_new(in->d->inpipe, &cfg, err);
	return in->data ? 0 : -ENOMEM;
}

/* Its memory is the offer's, and takes data from now on. */
static int got_memory(struct incoming *in, const void *payload, size_t len, int *fds, size_t n_fds, struct err *err)
{
	int r = memmap_take(&in->mem, payload, len, fds, n_fds, err);

	if (r < 0)
		return r;
	in->mem_open = true;
	r = check_regions(in, err);
	return r < 0 ? r : open_data(in, err);
}

static int got_info(struct incoming *in, const void *payload, size_t len, struct err *err)
{
	struct hv_info info = { 0 };

	memcpy(&info, payload, len < sizeof(info) ? len : sizeof(info));
	if (strncasecmp(info.uuid, in->uuid, 36))
		return err_set(err, ENOENT, "the hvdom of that name has another uuid");
	in->pid = info.pid;
	memcpy(in->base, info.base, sizeof(in->base));
	return 0;
}

/* Answers while it is attached; after them, or the first that is wrong, SPAWNED. */
static void attach_reply(struct incoming *in, uint16_t op, int status, const void *payload, size_t len, int *fds,
                         size_t n_fds, const char *text)
{
	struct err err = { 0 };
	int r = status < 0         ? err_set(&err, -status, "the incoming hvdom on %s: %s", in->d->node.name, text)
	        : op == HV_OP_INFO ? got_info(in, payload, len, &err)
	                           : got_memory(in, payload, len, fds, n_fds, &err);

	if (r == 0 && op == HV_OP_INFO)
		return;
	if (r < 0)
		snprintf(in->text, sizeof(in->text), "%s", err.text);
	spawned(in, r < 0 ? MIG_REASON_TARGET_HVDOM : MIG_REASON_NONE);
}

/* --verify: all memory here against all memory there, before anything is restored into it. */
static void got_memhash(struct incoming *in, int status, const void *payload, size_t len)
{
	struct hv_memhash_rep rep = { 0 };

	memcpy(&rep, payload, len < sizeof(rep) ? len : sizeof(rep));
	bool same = status == 0 && rep.n_regions == in->memhash.n_regions &&
	            !memcmp(rep.hash, in->memhash.hash, rep.n_regions * sizeof(rep.hash[0]));
	log_info("%s: memory verified: %s", in->name, same ? "equal" : "NOT equal");
	if (same)
		return;
	snprintf(in->text, sizeof(in->text), "the memory that arrived on %s is not the one that was sent",
	         in->d->node.name);
	incoming_feed(in, &(struct mig_event){ .kind = MIG_EV_DATA_BAD, .reason = MIG_REASON_DATA });
}

static void hv_reply(void *arg, uint16_t op, int status, const void *payload, size_t len, int *fds, size_t n_fds,
                     const char *text)
{
	struct incoming *in = arg;
	struct mig_event ev = { .kind = MIG_EV_HV, .now_ns = now_ns() };
	struct hv_resume_rep re = { 0 };
	struct hv_owner ow = { 0 };

	if (op == HV_OP_INFO || op == HV_OP_MAP_MEMORY) {
		if (in->attaching)
			attach_reply(in, op, status, payload, len, fds, n_fds, text);
		return;
	}
	ev.hv.op = pump_hv_of(op);
	ev.hv.status = status;
	switch (ev.hv.op) {
	case MIG_HV_MEMHASH:
		got_memhash(in, status, payload, len);
		return;
	case MIG_HV_SET_STATE:
		in->restore_ns = ev.now_ns - in->final_ns;
		break;
	case MIG_HV_RESUME:
		memcpy(&re, payload, len < sizeof(re) ? len : sizeof(re));
		ev.hv.v0 = re.running_at_ns;
		break;
	case MIG_HV_LEASE:
		memcpy(&ow, payload, len < sizeof(ow) ? len : sizeof(ow));
		ow.owner[sizeof(ow.owner) - 1] = 0;
		ev.hv.v0 = ow.generation;
		ev.hv.lease_owner = !ow.owner[0]                          ? MIG_LEASE_UNKNOWN
		                    : !strcmp(ow.owner, in->d->node.name) ? MIG_LEASE_SELF
		                    : !strcmp(ow.owner, in->from.name)    ? MIG_LEASE_PEER
		                                                          : MIG_LEASE_OTHER;
		break;
	case MIG_HV_TAKE:
	case MIG_HV_PAUSE:
	case MIG_HV_ANNOUNCE:
		break;
	default:
		return;
	}
	if (status < 0) {
		log_warn("%s: hypercall %s: %s", in->name, mig_hv_name(ev.hv.op), text);
		snprintf(in->text, sizeof(in->text), "%s: %.400s", mig_hv_name(ev.hv.op), text);
	}
	(void)fault_point("tgt", "hv", mig_hv_name(ev.hv.op), ".done", in->pid);
	incoming_feed(in, &ev);
}

static void hv_lost(void *arg, bool unread)
{
	struct incoming *in = arg;
	struct mig_event ev = { .kind = MIG_EV_HV_LOST };

	if (!in->text[0])
		snprintf(in->text, sizeof(in->text), "the incoming hvdom ended, see its log in %s", path_log());
	if (in->attaching) {
		spawned(in, MIG_REASON_TARGET_HVDOM);
		return;
	}
	ev.hv.status = unread ? -ECONNRESET : 0;
	incoming_feed(in, &ev);
}

static const struct hva_ops hv_ops = { .reply = hv_reply, .lost = hv_lost };

void incoming_hv(struct incoming *in, enum mig_hv op, uint64_t v0)
{
	union pump_req req = { 0 };

	(void)fault_point("tgt", "hv", mig_hv_name(op), "", in->pid);
	/* a clusterd that hangs lets the lease run out and others take it for certain that nothing of the cluster begins here */
	if ((op == MIG_HV_TAKE || op == MIG_HV_RESUME) && !managed_may_run(in->name)) {
		snprintf(in->text, sizeof(in->text), "the lease of %s in its cluster is over", in->d->node.name);
		incoming_feed(in, &(struct mig_event){ .kind = MIG_EV_HV, .hv = { .op = op, .status = -ETIME } });
		return;
	}
	if (op == MIG_HV_SET_STATE)
		req.state.size_bytes = in->state_bytes;
	if (op == MIG_HV_TAKE) {
		req.owner.generation = v0;
		snprintf(req.owner.owner, sizeof(req.owner.owner), "%s", in->d->node.name);
	}
	if (op == MIG_HV_SET_STATE && in->memhash.n_regions)
		(void)pump_call(in->hva, MIG_HV_MEMHASH, &req, -1); /* answered first */
	if (!pump_call(in->hva, op, &req, op == MIG_HV_SET_STATE ? in->state_fd : -1))
		hv_lost(in, true);
}

int incoming_attach(struct incoming *in, struct err *err)
{
	struct hvcall hv;
	struct hv_info info;
	int r = hvcall_open(&hv, in->name, err);

	if (r < 0)
		return r;
	hv.timeout_ms = RECOVER_MS;
	r = hvcall_simple(&hv, HV_OP_INFO, NULL, 0, &info, sizeof(info), err);
	if (r == 0)
		r = got_info(in, &info, sizeof(info), err);
	if (r == 0) {
		in->hva = hva_new(in->d->loop, hv.fd, &hv_ops, in, err);
		hv.fd = -1;
		r = in->hva ? 0 : -ENOMEM;
	}
	hvcall_close(&hv);
	return r;
}

/* Other migrations do not wait for an hvdom that answers late: what it says comes to attach_reply(). */
static int attach(struct incoming *in, struct err *err)
{
	struct hvcall hv;
	int r = hvcall_open(&hv, in->name, err);

	if (r < 0)
		return r;
	in->hva = hva_new(in->d->loop, hv.fd, &hv_ops, in, err);
	hv.fd = -1;
	hvcall_close(&hv);
	if (!in->hva)
		return -ENOMEM;
	in->attaching = true;
	if (!hva_call(in->hva, HV_OP_INFO, NULL, 0, -1) || !hva_call(in->hva, HV_OP_MAP_MEMORY, NULL, 0, -1))
		return err_set(err, ECONNRESET, "the incoming hvdom on %s does not take calls", in->d->node.name);
	return 0;
}

/* hvdom says "ok" or "error: TEXT" on its pipe, once, or ends without a word. */
static void on_ready(void *arg, int fd, uint32_t revents)
{
	struct incoming *in = arg;
	struct err err = { 0 };
	char line[ERR_TEXT_MAX];
	_cleanup_free_ char *log = dompath_log(in->name);
	ssize_t n = read(fd, line, sizeof(line) - 1);

	(void)revents;
	if (n < 0 && errno == EAGAIN)
		return;
	line[n > 0 ? n : 0] = 0;
	line[strcspn(line, "\n")] = 0;
	ready_close(in);
	int r;
	if (!strcmp(line, "ok"))
		r = attach(in, &err);
	else if (!strncmp(line, "error: ", 7))
		r = err_set(&err, EIO, "the incoming hvdom did not start on %s: %s", in->d->node.name, line + 7);
	else
		r = err_set(&err, EIO, "the incoming hvdom did not start on %s: see %s there", in->d->node.name, log);
	if (r == 0)
		return;
	snprintf(in->text, sizeof(in->text), "%s", err.text);
	spawned(in, MIG_REASON_TARGET_HVDOM);
}

void incoming_spawn_late(void *arg)
{
	struct incoming *in = arg;

	snprintf(in->text, sizeof(in->text), "the incoming hvdom on %s was not ready within %llu s", in->d->node.name,
	         SPAWN_NS / NS_PER_S);
	spawned(in, MIG_REASON_TARGET_HVDOM);
}

static int fork_hvdom(struct incoming *in, struct err *err)
{
	struct hvlaunch l = { .name = in->name, .config = in->xml_path, .incoming = true };
	int r = hvlaunch_begin(&l, err);

	if (r < 0)
		return r;
	in->pid = l.pid;
	in->child = true;
	in->ready_fd = l.ready_fd;
	if (fcntl(l.ready_fd, F_SETFL, O_NONBLOCK) == 0)
		in->ready_src = loop_add_fd(in->d->loop, l.ready_fd, EPOLLIN, on_ready, in);
	return in->ready_src ? 0 : err_sys(err, ENOMEM, "watching hvdom");
}

void incoming_spawn(struct incoming *in)
{
	const Hospes__Mig__Offer *o = in->offer->offer;
	_cleanup_free_ char *dir = xasprintf("%s/incoming", path_run());
	struct err err = { 0 };

	in->xml_path = xasprintf("%s/%016" PRIx64 ".xml", dir, in->session);
	int r = mkdir_p(dir, 0700);
	if (r == 0)
		r = file_write_atomic(in->xml_path, o->xml.data, o->xml.len, 0600);
	r = r < 0 ? err_sys(&err, r, "write %s", in->xml_path) : fork_hvdom(in, &err);
	if (r < 0) {
		snprintf(in->text, sizeof(in->text), "%s", err.text);
		spawned(in, MIG_REASON_TARGET_HVDOM);
		return;
	}
	loop_timer_in(in->spawn_timer, SPAWN_NS);
}

/* Wait for the end of process @pid and of all that it started: they were killed, so this is short. */
static bool wait_gone(const struct procs *p, int pid, bool child)
{
	bool gone = false;

	for (int i = 0; i < 2000; i++) {
		if (!gone)
			gone = child ? waitpid(pid, NULL, WNOHANG) != 0 : kill(pid, 0) < 0 && errno == ESRCH;
		if (gone && (!p->pid || !procs_live(p)))
			return true;
		if (gone)
			(void)procs_kill(p);
		usleep(500);
	}
	return false;
}

void incoming_kill(struct incoming *in)
{
	if (in->ready_src) {
		loop_del_fd(in->ready_src);
		in->ready_src = NULL;
	}
	loop_timer_at(in->spawn_timer, MIG_NEVER);
	in->attaching = false;
	insession_free(in->data, &in->mem, &in->state_fd);
	in->data = NULL;
	hva_free(in->hva);
	in->hva = NULL;
	if (in->pid > 0) {
		struct procs p = { 0 };

		/* one that gave up at once, for another of its name is there, left no record of its own */
		if (procs_read(in->name, &p) < 0 || p.pid != in->pid)
			p.pid = 0;
		if (kill(in->pid, SIGKILL) < 0 && errno != ESRCH)
			log_error("%s: cannot end the incoming hvdom %d: %s", in->name, in->pid, strerror(errno));
		if (p.pid)
			(void)procs_kill(&p);
		if (!wait_gone(&p, in->pid, in->child)) {
			log_error("%s: the incoming hvdom %d does not end", in->name, in->pid);
			return; /* no ENDED: nothing is promised */
		}
		in->pid = 0;
	}
	if (in->mem_open)
		memmap_done(&in->mem); /* its memory is free now, not when the session is forgotten */
	in->mem_open = false;
	incoming_feed(in, &(struct mig_event){ .kind = MIG_EV_ENDED });
}

void incoming_hvdom_done(struct incoming *in)
{
	ready_close(in);
	insession_free(in->data, &in->mem, &in->state_fd);
	in->data = NULL;
	hva_free(in->hva);
	in->hva = NULL;
	if (in->mem_open)
		memmap_done(&in->mem);
	in->mem_open = false;
	if (in->state_fd >= 0)
		close(in->state_fd);
	in->state_fd = -1;
	if (in->xml_path)
		unlink(in->xml_path);
	free(in->xml_path);
	in->xml_path = NULL;
}
