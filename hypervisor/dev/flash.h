/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A firmware's variables: the part of a guest's flash memory that it writes. The guest's engine has them in a memory
 * file of ours, and a thread writes what changes there to the domain's nvram file, while the domain is ours and its
 * lease lasts. ADR 82, docs/wire/nvram.md. The functions are what devs.h says of devs_flash() and so on; they may wait
 * for storage, except flash_fd() and flash_runs(). Any thread.
 */
#ifndef HOSPES_HYPERVISOR_DEV_FLASH_H
#define HOSPES_HYPERVISOR_DEV_FLASH_H

#include <stddef.h>
#include <stdint.h>
#include "clusterd/guard/deadline.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/dev/devs.h"

struct flash;

/*
 * Open or make the nvram file and the one beside it, without a lock. All of @cfg is borrowed for the call. @failed: a
 * write failed with errno @code, and is tried again; from the thread, at most every 10 s.
 */
int flash_new(const struct devs_flash_cfg *cfg, const struct deadline_page *deadline,
              void (*failed)(void *arg, int code), void *arg, struct flash **ret, struct err *err) _must_check_;
void flash_free(struct flash *f);                               /* takes NULL; writes nothing */
int flash_start(struct flash *f, struct err *err) _must_check_; /* the thread; after privileges were dropped */
int flash_fd(const struct flash *f);
int flash_lock(struct flash *f, struct err *err) _must_check_;
void flash_owned(struct flash *f);
void flash_unlock(struct flash *f);
int flash_load(struct flash *f, struct err *err) _must_check_;
void flash_runs(struct flash *f);
int flash_sync(struct flash *f, struct err *err) _must_check_;

#endif
