/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all domains looked like at a moment. Shared with tests. */
#ifndef HOSPES_VIRTD_VDEVENT_H
#define HOSPES_VIRTD_VDEVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hypervisor/api/hypercall.h"
#include "virtd/vdxdr.h"

struct vd_seen {
	char name[HV_NAME_MAX];
	uint8_t uuid[XDR_UUID];
	int32_t id; /* -1: shut off */
	bool defined, paused, crashed;
	bool silent; /* its hvdom did not answer: nothing else is known now */
};

struct vd_snapshot {
	struct vd_seen *dom; /* owned, sorted by name */
	size_t n;
};

#endif
