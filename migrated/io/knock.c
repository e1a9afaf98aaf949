/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See knock.h. Loop thread. */
#include "config.h"
#include "migrated/io/knock.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "hypervisor/api/hva.h"
#include "hypervisor/api/hvproc.h"

struct knock {
	struct hva *hva;
	struct loop_timer *timer;
	int status; /* what the timer tells */
	knock_fn *fn;
	void *arg;
};

void knock_drop(struct knock *k)
{
	if (!k)
		return;
	loop_del_timer(k->timer);
	hva_free(k->hva);
	free(k);
}

static void tell(struct knock *k, int status, const struct hv_info *info)
{
	knock_fn *fn = k->fn;
	void *arg = k->arg;

	knock_drop(k);
	fn(arg, status, info);
}

static void on_timer(void *arg)
{
	struct knock *k = arg;

	tell(k, k->status, NULL);
}

static void on_reply(void *arg, uint16_t op, int status, const void *payload, size_t len, int *fds, size_t n_fds,
                     const char *text)
{
	struct hv_info info = { 0 };

	(void)op, (void)fds, (void)n_fds, (void)text;
	memcpy(&info, payload, len < sizeof(info) ? len : sizeof(info));
	info.name[HV_NAME_MAX - 1] = info.uuid[36] = 0;
	tell(arg, status, status < 0 ? NULL : &info);
}

static void on_lost(void *arg, bool unread)
{
	(void)unread;
	tell(arg, -ECONNRESET, NULL);
}

struct knock *knock(struct loop *loop, const char *name, uint64_t timeout_ns, knock_fn *fn, void *arg)
{
	static const struct hva_ops ops = { .reply = on_reply, .lost = on_lost };
	struct knock *k = calloc(1, sizeof(*k));
	uint64_t in_ns = 0;
	int fd;

	if (!k)
		return NULL;
	k->fn = fn, k->arg = arg;
	k->timer = loop_add_timer(loop, on_timer, k);
	if (!k->timer) {
		free(k);
		return NULL;
	}
	fd = hvproc_connect(name, SOCK_NONBLOCK);
	k->status = fd == -EAGAIN ? -ETIMEDOUT : fd;
	if (fd >= 0) {
		k->hva = hva_new(loop, fd, &ops, k, NULL);
		bool asked = k->hva && hva_call(k->hva, HV_OP_INFO, NULL, 0, -1);
		k->status = asked ? -ETIMEDOUT : -ECONNRESET;
		in_ns = asked ? timeout_ns : 0;
	}
	loop_timer_in(k->timer, in_ns);
	return k;
}
