/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Privileges of a daemon: see caps.h. */
#include "config.h"
#include "common/caps.h"
#include <cap-ng.h>
#include <errno.h>

static const unsigned unneeded[] = {
	CAP_LINUX_IMMUTABLE, CAP_SYS_MODULE, CAP_SYS_PACCT,     CAP_SYS_TTY_CONFIG, CAP_LEASE,
	CAP_AUDIT_CONTROL,   CAP_AUDIT_READ, CAP_MAC_OVERRIDE,  CAP_MAC_ADMIN,      CAP_SYSLOG,
	CAP_WAKE_ALARM,      CAP_BPF,        CAP_BLOCK_SUSPEND, CAP_PERFMON,        CAP_CHECKPOINT_RESTORE,
};

int caps_bound(uint64_t more, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(unneeded); i++)
		more |= CAPS_BIT(unneeded[i]);
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_get_caps_process() < 0)
		return err_sys(err, errno, "capabilities");
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (more & CAPS_BIT(cap))
			(void)capng_update(CAPNG_DROP,
			                   CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE | CAPNG_BOUNDING_SET,
			                   cap);
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		return capng_apply(CAPNG_SELECT_CAPS) < 0 ? err_sys(err, errno, "give up capabilities") : 0;
	return capng_apply(CAPNG_SELECT_BOTH) < 0 ? err_sys(err, errno, "give up capabilities") : 0;
}
