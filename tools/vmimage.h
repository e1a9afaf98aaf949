/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images that domains are made from: <state>/library/NAME/ has the disk (disk.raw or disk.qcow2), for engine pv the initrd, and
 * image.json, which says what they are. Only whole ones are images, see made.h. Blocks on storage; prints nothing.
 */
#ifndef HOSPES_TOOLS_VMIMAGE_H
#define HOSPES_TOOLS_VMIMAGE_H

#include <jansson.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/domcfg.h"
#include "tools/filehash.h"
#include "tools/made.h"
#include "tools/vmhost.h"

struct vmimage {
	char name[64];
	enum dom_disk_format format;
	char engine[8];                /* pv, qemu: what boots it; engine kvm boots what qemu does */
	uint64_t disk_bytes;           /* of the disk that the guest sees */
	uint64_t file_bytes;           /* of its file, holes included */
	char sha256[SHA256_TEXT];      /* of its file */
	char initrd[SHA256_TEXT];      /* the initrd's; "": there is none */
	char made[32];                 /* RFC 3339 */
	char *from;                    /* what it was made of: a recipe, a path, a URL; owned */
	char *disk_path, *initrd_path; /* owned; NULL: there is none */
};

char *vmimage_dir(void); /* <state>/library; owned */
/* -ENOENT: there is none, and the text says how to get one; -EINVAL: its image.json cannot be read. */
int vmimage_load(const char *name, struct vmimage *ret, struct err *err) _must_check_;
void vmimage_done(struct vmimage *m);
static inline void cleanup_vmimage(struct vmimage *m)
{
	vmimage_done(m);
}
#define _cleanup_vmimage_ __attribute__((cleanup(cleanup_vmimage)))
/* What image.json says; NULL: no memory. */
json_t *vmimage_json(const struct vmimage *m);

/*
 * Finish the image that is being made in @made: "disk.raw" or "disk.qcow2" (and "initrd.img") are there. Of @m name, engine and from are
 * set; the rest is filled in. Reads all of it. -EINVAL, -ENOTSUP: not a disk that a domain can have. After a failure @made is to be undone.
 */
int vmimage_finish(struct made *made, struct vmimage *m, const struct vmhost_while *w, struct err *err) _must_check_;
/* Compare what is there with what image.json says. -EBADMSG: it is not what it was. */
int vmimage_verify(const struct vmimage *m, const struct vmhost_while *w, struct err *err) _must_check_;

#endif
