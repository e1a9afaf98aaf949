/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See qdisplay.h. */
#include "config.h"
#include "hypervisor/qemu/qdisplay.h"

#include <stdio.h>

/*
 * A server of VNC that asks for a password has to listen; in a network namespace without an interface that is nowhere. One that asks for
 * none need not.
 */
const char *qdisplay_vnc(const struct dom_config *cfg)
{
	if (!cfg->hvm.display.on)
		return NULL;
	return *cfg->hvm.display.password ? "0.0.0.0:0,password=on" : "none";
}

bool qdisplay_video(const struct dom_config *cfg, unsigned slot, char *ret, size_t len)
{
	static const char *const models[] = { [DOM_VIDEO_NONE] = NULL,
		                              [DOM_VIDEO_VGA] = "VGA",
		                              [DOM_VIDEO_BOCHS] = "bochs-display",
		                              [DOM_VIDEO_CIRRUS] = "cirrus-vga",
		                              [DOM_VIDEO_VIRTIO] = "virtio-vga" };
	const struct dom_hvm *h = &cfg->hvm;
	char more[32] = "";

	if (h->video == DOM_VIDEO_NONE)
		return false;
	if (h->video == DOM_VIDEO_VGA && h->vram_kib >= 1024)
		snprintf(more, sizeof(more), ",vgamem_mb=%u", h->vram_kib / 1024);
	else if (h->video ==
	         DOM_VIDEO_VIRTIO) /* pictures of the guest's that QEMU holds: they are in a state, which has a limit */
		snprintf(more, sizeof(more), ",max_hostmem=%u", 96u << 20);
	snprintf(ret, len, "%s,id=" QDISPLAY_DEVICE ",addr=0x%x%s", models[h->video], slot, more);
	return true;
}
