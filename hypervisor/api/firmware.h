/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UEFI firmware for a domain: the files that its definition names, or those that this host's firmware descriptors
 * offer
 * (docs/interop/firmware.json of QEMU: /etc/qemu/firmware over /usr/share/qemu/firmware, in the order of their
 * names).
 */
#ifndef HOSPES_HYPERVISOR_FIRMWARE_H
#define HOSPES_HYPERVISOR_FIRMWARE_H

#include <stdbool.h>
#include <stddef.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/domcfg.h"

struct firmware {
	char *code;     /* the loader: a file that is only read; owned */
	char *template; /* what the variables begin with; owned, NULL: unknown, so only a file that is there will do */
	size_t code_bytes, vars_bytes;
	bool smm;       /* it is built for a machine with SMM, and only that may write variables */
};

/* The directories of descriptors, up to a NULL; a file hides those of its name in later ones. */
extern const char *const firmware_dirs[];

/*
 * The firmware for @cfg, whose fw.efi is set. @err: what was asked for, and which package brings it. -ENOENT:
 * there is none;
 * -EINVAL: what is there is no firmware, or the definition says too little. *@ret is untouched then.
 */
int firmware_find(const struct dom_config *cfg, struct firmware *ret, struct err *err) _must_check_;
int firmware_find_in(const char *const *dirs, const struct dom_config *cfg, struct firmware *ret,
                     struct err *err) _must_check_;
void firmware_done(struct firmware *fw);
static inline void cleanup_firmware(struct firmware *fw) { firmware_done(fw); }
#define _cleanup_firmware_ __attribute__((cleanup(cleanup_firmware)))

/*
 * Where the domain's variables are (malloc'd): <nvram>, or NAME_VARS.fd beside its first image that it writes.
 * NULL: its firmware has
 * none, or there is no such image.
 */
char *firmware_nvram_path(const struct dom_config *cfg);

#endif
