/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Privileges of threads: see priv.h. */
#include "config.h"
#include "migrated/io/priv.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zmq.h>
#include "common/caps.h"

int priv_bound(struct err *err)
{
	/* clusterd keeps these for fence agents */
	return caps_bound(CAPS_BIT(CAP_NET_BROADCAST) | CAPS_BIT(CAP_SYS_RAWIO) | CAPS_BIT(CAP_SYS_BOOT), err);
}

/* libc has no call for one thread; it cannot fail: giving up is always allowed */
static void set_thread(const struct __user_cap_data_struct *d)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };

	syscall(SYS_capset, &h, d);
}

void priv_none(void)
{
	set_thread((struct __user_cap_data_struct[2]){ { 0 } });
}

void priv_only(unsigned cap)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { { 0 } };

	syscall(SYS_capget, &h, d);
	for (unsigned i = 0; i < ARRAY_SIZE(d); i++) {
		uint32_t keep = cap / 32 == i ? 1u << cap % 32 & d[i].permitted : 0;
		d[i] = (struct __user_cap_data_struct){ .effective = keep, .permitted = keep };
	}
	set_thread(d);
}

static void *starter(void *zmq)
{
	priv_none();
	void *s = zmq_socket(zmq, ZMQ_PAIR); /* the first socket starts the threads */
	if (!s)
		return (void *)1;
	zmq_close(s);
	return NULL;
}

int priv_start_zmq(void *zmq, struct err *err)
{
	pthread_t t;
	void *failed = NULL;
	int r = pthread_create(&t, NULL, starter, zmq);

	if (r == 0)
		r = pthread_join(t, &failed);
	if (r || failed)
		return err_sys(err, r ? r : EMFILE, "ZeroMQ threads");
	return 0;
}
