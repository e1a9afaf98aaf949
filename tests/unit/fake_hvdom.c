/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stand-in for hvdom in tests of vmctl: serves the hypercall socket with real descriptors and hvdom's rules of sessions, but
 * runs no guest. "Memory" is filled with a pattern; STATS gives its xxh3 as dirty_pages_per_s, so that a test can see whether
 * it came through a file. $FAKE changes its manners: fail, silent, slow, deaf (DESTROY is not answered), late (GET_STATE is
 * answered after a minute), mute (there is no agent, and nothing comes of orders). $FAKE_AGENT is a program that speaks as the guest's own agent.
 * With $FAKE_BALLOON there is a balloon.
 */
#include "config.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/api/rundir.h"
#include "hypervisor/hvserver.h"

#define STATE_BYTES 100000u

struct fake {
	struct loop *loop;
	struct hvserver *server;
	struct dom_config *cfg;
	char *xml, *sock_path;
	const char *manner;
	struct hvconn *suspender; /* whose end resumes the domain */
	struct hvconn *late;      /* waits for GET_STATE */
	uint64_t late_cookie;
	uint32_t state;
	uint64_t generation;
	uint32_t frozen_s, reboots;
	uint64_t balloon_bytes;
	bool vdb;            /* a disk that came */
	uint64_t agent_said; /* octets */
	int ram, bitmap, blob;
	struct loop_timer *timer;
};

static int make_memfd(uint64_t size, unsigned seed)
{
	int fd = memfd_create("fake", MFD_CLOEXEC);
	uint32_t words[PAGE_BYTES / 4];

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		exit(1);
	/* every third page has content, half of it random */
	for (uint64_t p = 0; seed && p < size / PAGE_BYTES; p += 3) {
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = i % 2 ? (seed = seed * 1103515245 + 12345) : (uint32_t)p;
		if (pwrite(fd, words, sizeof(words), (off_t)(p * PAGE_BYTES)) != sizeof(words))
			exit(1);
	}
	return fd;
}

static uint64_t hash_of(int fd, uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	uint64_t h = XXH3_64bits(p, size);

	munmap(p, size);
	return h;
}

static void quit_later(void *arg)
{
	struct fake *f = arg;

	loop_quit(f->loop, 0);
}

static void reply_state(struct fake *f, struct hvconn *c, uint64_t cookie)
{
	struct hv_state_rep rep = { .size_bytes = STATE_BYTES };

	hvconn_reply(c, HV_OP_GET_STATE, cookie, &rep, sizeof(rep), &f->blob, 1);
}

static void on_late(void *arg)
{
	struct fake *f = arg;

	if (f->late)
		reply_state(f, f->late, f->late_cookie);
	f->late = NULL;
}

static void fail(struct hvconn *c, uint16_t op, uint64_t cookie, int code, const char *text)
{
	struct err err;

	err_set(&err, code, "%s", text);
	hvconn_fail(c, op, cookie, &err);
}

static void on_info(struct fake *f, struct hvconn *c, uint16_t op, uint64_t cookie)
{
	struct hv_hello hello = { .version = HV_VERSION, .engine = "pv", .build = PACKAGE_VERSION };
	struct hv_info info = {
		.state = f->state,
		.vcpus = 1,
		.pid = getpid(),
		.generation = f->generation,
		.owner = "host-a",
		.frozen_s = f->frozen_s,
		.reboots = f->reboots,
	};
	struct hv_stats st = { .cpu_ns = 1500000000,
		               .n_devs = 3,
		               .mem_at_s = 1700000000,
		               .mem = { [HV_MEM_AVAILABLE] = 4 << 20,
		                        [HV_MEM_UNUSED] = 1 << 20,
		                        [HV_MEM_USABLE] = 3 << 20,
		                        [HV_MEM_MAJOR_FAULTS] = 5,
		                        [HV_MEM_SWAP_OUT] = 8192,
		                        [HV_MEM_MINOR_FAULTS] = UINT64_MAX },
		               .dev = { { .name = "hvc0", .kind = 3 },
		                        { .name = "vda", .kind = 2, .rd_ops = 7 },
		                        { .kind = 3, .wr_bytes = f->agent_said } } };

	if (f->vdb)
		st.dev[st.n_devs++] = (struct hv_dev_stats){ .name = "vdb", .kind = 2 };
	hello.caps = getenv("FAKE_NEWER") ? HV_CAP_NEWER : 0;
	snprintf(st.dev[2].name, sizeof(st.dev[2].name), "hvc%zu", f->cfg->n_consoles); /* the agent's */
	snprintf(hello.kernel_id, sizeof(hello.kernel_id), "%s", getenv("FAKE_KERNEL") ?: "0123456789abcdef");
	snprintf(info.name, sizeof(info.name), "%s", f->cfg->name);
	snprintf(info.uuid, sizeof(info.uuid), "%s", f->cfg->uuid);
	info.ram_bytes = info.ram_current_bytes = st.ram_bytes = f->cfg->memory_bytes;
	info.ram_current_bytes -= f->balloon_bytes;
	st.dirty_pages_per_s = hash_of(f->ram, f->cfg->memory_bytes) >> 2; /* JSON's integers are signed */
	if (op == HV_OP_HELLO)
		hvconn_reply(c, op, cookie, &hello, sizeof(hello), NULL, 0);
	else if (op == HV_OP_INFO)
		hvconn_reply(c, op, cookie, &info, sizeof(info), NULL, 0);
	else
		hvconn_reply(c, op, cookie, &st, sizeof(st), NULL, 0);
}

static void on_map(struct fake *f, struct hvconn *c, uint64_t cookie)
{
	struct hv_map_rep rep = { .n_regions = 1,
		                  .page_bytes = PAGE_BYTES,
		                  .bitmap_bytes = PAGE_BYTES,
		                  .region = { { .size_bytes = f->cfg->memory_bytes, .name = "ram" } } };
	int fds[2] = { f->ram, f->bitmap };

	hvconn_reply(c, HV_OP_MAP_MEMORY, cookie, &rep, sizeof(rep), fds, 2);
}

static void on_set_state(struct fake *f, struct hvconn *c, uint64_t cookie, const struct hv_state_req *req, int fd)
{
	if (f->state != HV_DOM_INCOMING || req->size_bytes != STATE_BYTES ||
	    hash_of(fd, STATE_BYTES) != hash_of(f->blob, STATE_BYTES)) {
		fail(c, HV_OP_SET_STATE, cookie, EINVAL, "this is not the state that was saved");
		return;
	}
	f->state = HV_DOM_RESTORED;
	hvconn_reply(c, HV_OP_SET_STATE, cookie, NULL, 0, NULL, 0);
}

/* The program $FAKE_AGENT is the guest's own agent. */
static void serve_agent(struct hvconn *c, uint64_t cookie)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		exit(1);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(sv[0], 0);
		dup2(sv[0], 1);
		execl(getenv("FAKE_AGENT"), "agent", (char *)NULL);
		_exit(1);
	}
	hvconn_reply(c, HV_OP_CONSOLE, cookie, NULL, 0, &sv[1], 1);
	close(sv[0]);
	close(sv[1]);
}

/* Echoes a line in capitals, then closes. */
static void on_console(struct hvconn *c, uint64_t cookie, const struct hv_console_req *req)
{
	char line[256], out[300];
	int sv[2];
	ssize_t n;

	if (req->flags & HV_CONSOLE_AGENT && getenv("FAKE_AGENT")) {
		serve_agent(c, cookie);
		return;
	}
	if (req->index > 1) {
		fail(c, HV_OP_CONSOLE, cookie, ENOENT, "no such console");
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		exit(1);
	hvconn_reply(c, HV_OP_CONSOLE, cookie, NULL, 0, &sv[1], 1);
	close(sv[1]);
	n = read(sv[0], line, sizeof(line) - 1);
	for (ssize_t i = 0; i < n; i++)
		if (line[i] >= 'a' && line[i] <= 'z')
			line[i] = (char)(line[i] - 32);
	line[n > 0 ? n : 0] = 0;
	n = snprintf(out, sizeof(out), "console %u: %s", req->index, line);
	if (write_full(sv[0], out, (size_t)n) < 0)
		log_warn("console: client is gone");
	close(sv[0]);
}

static bool state_op(struct fake *f, struct hvconn *c, uint16_t op)
{
	switch (op) {
	case HV_OP_PAUSE:
		f->state = HV_DOM_PAUSED;
		return true;
	case HV_OP_UNPAUSE:
	case HV_OP_RESUME:
		log_info("runs");
		f->state = HV_DOM_RUNNING;
		f->suspender = NULL;
		return true;
	case HV_OP_SUSPEND:
		log_info("suspended");
		f->state = HV_DOM_SUSPENDED;
		f->suspender = c;
		return true;
	case HV_OP_TAKE:
		f->generation = strtoull(getenv("FAKE_LEASE") ?: "0", NULL, 10) + 1;
		return f->state == HV_DOM_RESTORED;
	case HV_OP_SUBSCRIBE:
		hvconn_subscribe(c, true);
		return true;
	case HV_OP_REBOOT:
		f->agent_said += strcmp(f->manner, "mute") ? 18 : 0;
		f->reboots += strcmp(f->manner, "mute") != 0;
		return true;
	case HV_OP_LOGLEVEL:
		return true;
	case HV_OP_SHUTDOWN:
		if (!strcmp(f->manner, "mute"))
			return true;
		f->agent_said += 19;
		loop_timer_in(f->timer, 300 * NS_PER_MS);
		return true;
	default:
		return false;
	}
}

static void on_request(void *arg, struct hvconn *c, uint16_t op, uint64_t cookie, const void *payload, size_t len,
                       int *fds, size_t n_fds)
{
	struct fake *f = arg;
	const struct hv_destroy_req *destroy = payload;

	(void)len;
	switch (op) {
	case HV_OP_HELLO:
	case HV_OP_INFO:
	case HV_OP_STATS:
		on_info(f, c, op, cookie);
		return;
	case HV_OP_DUMPXML:
		hvconn_reply(c, op, cookie, f->xml, strlen(f->xml), NULL, 0);
		return;
	case HV_OP_MAP_MEMORY:
		on_map(f, c, cookie);
		return;
	case HV_OP_GET_STATE:
		if (strcmp(f->manner, "late")) {
			reply_state(f, c, cookie);
			return;
		}
		f->late = c;
		f->late_cookie = cookie;
		loop_timer_in(f->timer, 60 * NS_PER_S);
		return;
	case HV_OP_SET_STATE:
		on_set_state(f, c, cookie, payload, fds[0]);
		return;
	case HV_OP_LEASE: {
		struct hv_owner lease = { .generation = strtoull(getenv("FAKE_LEASE") ?: "0", NULL, 10) };

		hvconn_reply(c, op, cookie, &lease, sizeof(lease), NULL, 0);
		return;
	}
	case HV_OP_CONSOLE:
		on_console(c, cookie, payload);
		return;
	case HV_OP_FROZEN:
		f->frozen_s = ((const struct hv_frozen_req *)payload)->seconds;
		hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
		return;
	case HV_OP_BALLOON:
		if (getenv("FAKE_BALLOON")) {
			f->balloon_bytes = f->cfg->memory_bytes -
			                   ((const struct hv_balloon_req *)payload)->target_bytes;
			hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
			return;
		}
		fail(c, op, cookie, EOPNOTSUPP, "the domain has no memballoon device");
		return;
	case HV_OP_BLOCKRESIZE: {
		const struct hv_blockresize_req *q = payload;

		if (strcmp(q->disk, "vda"))
			fail(c, op, cookie, ENOENT, "the domain has no such disk");
		else
			hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
		log_info("resized %.16s to %llu", q->disk, (unsigned long long)q->bytes);
		return;
	}
	case HV_OP_ATTACH: {
		struct hv_attach_rep rep = { .name = "vdb", .place = 3 };

		log_info("attached, %zu descriptors", n_fds);
		f->vdb = true;
		hvconn_reply(c, op, cookie, &rep, sizeof(rep), NULL, 0);
		return;
	}
	case HV_OP_DETACH: {
		const struct hv_detach_req *q = payload;

		log_info("detached %.24s", q->device);
		if (strcmp(q->device, "vdb"))
			fail(c, op, cookie, ETIMEDOUT, "the guest has not let it go");
		else
			hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
		f->vdb &= strcmp(q->device, "vdb") != 0;
		return;
	}
	case HV_OP_DESTROY:
		log_info("destroyed, flags %u", destroy->flags);
		if (!strcmp(f->manner, "deaf")) {
			for (;;)
				pause();
		}
		hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
		loop_timer_in(f->timer, 0);
		return;
	default:
		if (state_op(f, c, op))
			hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
		else
			fail(c, op, cookie, EINVAL, "not now");
	}
}

static void on_timer(void *arg)
{
	struct fake *f = arg;

	if (f->late)
		on_late(f);
	else
		quit_later(f);
}

static void on_closed(void *arg, struct hvconn *c)
{
	struct fake *f = arg;

	if (f->late == c) {
		f->late = NULL;
		loop_timer_at(f->timer, UINT64_MAX);
	}
	if (f->suspender == c) {
		log_info("resumed: its client is gone");
		f->state = HV_DOM_RUNNING;
		f->suspender = NULL;
	}
	if (f->state == HV_DOM_INCOMING || f->state == HV_DOM_RESTORED)
		loop_quit(f->loop, 0);
}

static void on_signal(void *arg, int sig)
{
	log_info("signal %d", sig);
	quit_later(arg);
}

static const struct hvserver_ops ops = { .request = on_request, .closed = on_closed };

static int serve(struct fake *f, int ready_fd)
{
	static const int sigs[] = { SIGTERM, SIGINT, 0 };
	_cleanup_free_ char *dir = dompath_run(f->cfg->name);
	struct err err;
	int fd;

	f->loop = loop_new();
	f->sock_path = dompath_sock(f->cfg->name);
	fd = rundir_claim(dir, f->cfg->name, &err); /* held to the end */
	if (fd >= 0)
		fd = hvserver_listen(f->sock_path, &err);
	if (!f->loop || fd < 0 || loop_add_signals(f->loop, sigs, on_signal, f) < 0) {
		dprintf(ready_fd, "error: %s\n", err.text);
		return 1;
	}
	f->server = hvserver_new(f->loop, fd, &ops, f, &err);
	f->timer = loop_add_timer(f->loop, on_timer, f);
	dprintf(ready_fd, "ok\n");
	close(ready_fd);
	loop_run(f->loop);
	unlink(f->sock_path);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "ready-fd", required_argument, NULL, 'r' },
		{ "incoming", no_argument, NULL, 'i' },     { "log-level", required_argument, NULL, 'l' },
		{ "engines", no_argument, NULL, 'e' },      { 0 },
	};
	struct fake f = { .manner = getenv("FAKE") ?: "", .state = HV_DOM_RUNNING, .generation = 1 };
	int o, ready_fd = -1;
	struct err err;

	log_init("hvdom", LOG_LEVEL_DEBUG);
	signal(SIGPIPE, SIG_IGN);
	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (o == 'c' && dom_config_load(optarg, &f.cfg, &err) < 0) {
			log_error("%s", err.text);
			return 1;
		}
		if (o == 'e') {
			puts("{\"engine\":\"pv\",\"runs\":true}\n"
			     "{\"engine\":\"qemu-aarch64\",\"runs\":true}\n"
			     "{\"engine\":\"kvm\",\"runs\":false,\"why\":\"no hardware-assisted virtualization\"}");
			return 0;
		}
		if (o == 'r')
			ready_fd = atoi(optarg);
		if (o == 'i')
			f.state = HV_DOM_INCOMING;
	}
	if (!f.cfg || dom_config_format(f.cfg, &f.xml, &err) < 0)
		return 1;
	if (!strcmp(f.manner, "fail")) {
		dprintf(ready_fd, "error: no kernel %s: No such file or directory\n", f.cfg->kernel);
		return 1;
	}
	if (!strcmp(f.manner, "silent")) {
		log_error("last words");
		_exit(1); /* without a leak checker's words after it */
	}
	if (!strcmp(f.manner, "slow"))
		sleep(30);
	f.ram = make_memfd(f.cfg->memory_bytes, f.state == HV_DOM_INCOMING ? 0 : (unsigned)getpid());
	f.bitmap = make_memfd(PAGE_BYTES, 0);
	f.blob = make_memfd(STATE_BYTES, 99);
	return serve(&f, ready_fd);
}
