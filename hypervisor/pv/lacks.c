/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See lacks.h. */
#include "config.h"
#include "hypervisor/pv/lacks.h"

#include <errno.h>
#include <unistd.h>

/* Its builds have no order. */
bool pv_newer(const struct dom_config *cfg)
{
	(void)cfg;
	return false;
}

/* Its devices are hvdom's. */
int pv_balloon(void *vm, uint64_t target_bytes, struct err *err)
{
	(void)vm, (void)target_bytes;
	return err_set(err, ENOSYS, "the balloon is a device of hvdom's");
}

uint64_t pv_balloon_bytes(void *vm)
{
	(void)vm;
	return 0;
}

int pv_powerdown(void *vm, struct err *err)
{
	(void)vm;
	return err_set(err, ENOTSUP, "a guest of engine pv has no power button");
}

int pv_plug(void *vm, const struct hv_plug *p, struct err *err)
{
	(void)vm, (void)p;
	return err_set(err, ENOTSUP, "guests of engine pv have the devices of their start");
}

int pv_unplug(void *vm, unsigned place, struct err *err)
{
	(void)vm, (void)place;
	return err_set(err, ENOTSUP, "guests of engine pv have the devices of their start");
}

int pv_screen_client(void *vm, int fd, struct err *err)
{
	(void)vm;
	close(fd);
	return err_set(err, ENOTSUP, "a guest of engine pv has no screen");
}

int pv_screenshot(void *vm, unsigned screen, struct err *err)
{
	(void)vm, (void)screen;
	return err_set(err, ENOTSUP, "a guest of engine pv has no screen");
}
