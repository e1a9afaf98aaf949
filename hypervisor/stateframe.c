/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See stateframe.h. */
#include "config.h"
#include "hypervisor/stateframe.h"

#include <errno.h>

void stateframe_begin(struct buf *out, const struct buf *devices)
{
	buf_put_u32(out, STATEFRAME_MAGIC);
	buf_put_u32(out, STATEFRAME_VERSION);
	buf_put_u64(out, devices->len);
	buf_put(out, devices->data, devices->len);
}

int stateframe_split(const void *p, size_t len, struct rd *ret_devices, struct rd *ret_engine, struct err *err)
{
	struct rd in = rd_of(p, len);
	uint32_t magic = rd_u32(&in), version = rd_u32(&in);
	uint64_t n = rd_u64(&in);

	if (in.bad || magic != STATEFRAME_MAGIC || version != STATEFRAME_VERSION || n > in.left)
		return err_set(err, EINVAL, "this is not the state of a Hospes domain (version %u)",
		               STATEFRAME_VERSION);
	*ret_devices = rd_of(in.p, n);
	*ret_engine = rd_of(in.p + n, in.left - n);
	return 0;
}
