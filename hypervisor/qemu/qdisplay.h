/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's screen on QEMU's command line: its VGA, its VNC server, which listens nowhere that anybody can reach. Pure. */
#ifndef HOSPES_QEMU_QDISPLAY_H
#define HOSPES_QEMU_QDISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include "hypervisor/api/domcfg.h"

#define QDISPLAY_DEVICE "video" /* its id */

/* The value of -vnc, static text. NULL: no server. */
const char *qdisplay_vnc(const struct dom_config *cfg);
/* The value of -device, for @slot on the bus. False: the guest has no video. */
bool qdisplay_video(const struct dom_config *cfg, unsigned slot, char *ret, size_t len);

#endif
