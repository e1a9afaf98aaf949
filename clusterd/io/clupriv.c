/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Privileges of clusterd: see clupriv.h. */
#include <config.h>
#include "clusterd/io/clupriv.h"
#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>

static const unsigned unneeded[] = {
	CAP_LINUX_IMMUTABLE, CAP_SYS_MODULE, CAP_SYS_PACCT,     CAP_SYS_TTY_CONFIG, CAP_LEASE,
	CAP_AUDIT_CONTROL,   CAP_AUDIT_READ, CAP_MAC_OVERRIDE,  CAP_MAC_ADMIN,      CAP_SYSLOG,
	CAP_WAKE_ALARM,      CAP_BPF,        CAP_BLOCK_SUSPEND, CAP_PERFMON,        CAP_CHECKPOINT_RESTORE,
};

int clupriv_bound(struct err *err)
{
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_get_caps_process() < 0)
		return err_sys(err, errno, "capabilities");
	for (size_t i = 0; i < ARRAY_SIZE(unneeded); i++)
		(void)capng_update(CAPNG_DROP,
		                   CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE | CAPNG_BOUNDING_SET,
		                   unneeded[i]);
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		return capng_apply(CAPNG_SELECT_CAPS) < 0 ? err_sys(err, errno, "give up capabilities") : 0;
	return capng_apply(CAPNG_SELECT_BOTH) < 0 ? err_sys(err, errno, "give up capabilities") : 0;
}
