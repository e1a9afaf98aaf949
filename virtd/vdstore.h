/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Directories of images, as libvirt's clients know them: storage pools of type dir, and the images in them, their
 * volumes. The configuration names the directories; what is in one is looked at anew for each call. All functions but
 * store_load() and store_done() block on storage; any thread.
 */
#ifndef HOSPES_VIRTD_VDSTORE_H
#define HOSPES_VIRTD_VDSTORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "hypervisor/api/domcfg.h"
#include "virtd/vdxdr.h"

#define STORE_NAME_MAX  64u /* of a pool, with its end */
#define VOL_NAME_MAX    256u
#define STORE_POOLS_MAX 16u
#define STORE_VOLS_MAX  16384u

struct vd_store {
	struct store_pool {
		char name[STORE_NAME_MAX];
		uint8_t uuid[XDR_UUID]; /* made of the name: the same on each host */
		char *dir;              /* owned, absolute */
	} pool[STORE_POOLS_MAX];
	_Atomic size_t n; /* it only grows */
};

/* @o: the configuration's object {NAME: DIRECTORY}; NULL: one pool "default", <state>/images. On failure *@ret is empty. -EINVAL. */
int store_load(const json_t *o, struct vd_store *ret, struct err *err) _must_check_;
void store_done(struct vd_store *s);
/*
 * One more, until the process ends: @dir is where this host allows images (paths.json). One caller at a time; others may
 * read meanwhile. *@ret is in @s. -EEXIST: another one has that name; -EACCES, -EINVAL.
 */
int store_add(struct vd_store *s, const char *name, const char *dir, const struct store_pool **ret,
              struct err *err) _must_check_;

struct store_room { bool there; uint64_t capacity, used, available; /* octets of the file system */ };
void store_room(const struct store_pool *p, struct store_room *ret);
int store_build(const struct store_pool *p, struct err *err) _must_check_; /* the directory, if it is not there yet */

struct store_vol {
	char name[VOL_NAME_MAX];
	enum dom_disk_format format;
	bool iso;
	uint64_t capacity, allocation, physical; /* octets: of the disk, on storage, of the file */
	char *backing;                           /* owned; NULL: none */
	enum dom_disk_format backing_format;
};
void store_vol_done(struct store_vol *v);

/* Names of images, sorted; each and the array are owned by the caller. A directory that is not there has none. */
int store_names(const struct store_pool *p, char ***ret, size_t *ret_n, struct err *err) _must_check_;
void store_names_done(char **names, size_t n);
/* -ENOENT: there is no such image; as the storage says. store_vol_done() after 0. */
int store_look(const struct store_pool *p, const char *name, struct store_vol *ret, struct err *err) _must_check_;
/* "DIR/NAME"; malloc'd. */
char *store_path(const struct store_pool *p, const char *name);
/*
 * Make the empty image @v->name of @v->format, with @v->capacity octets, on v->backing; with @v->allocation the storage
 * for a raw image's octets is taken at once. It appears when it is whole. -EEXIST, -EINVAL, -ENOSPC, as the storage
 * says.
 */
int store_create(const struct store_pool *p, const struct store_vol *v, struct err *err) _must_check_;
/* -EBUSY: a domain uses it; -ENOENT. */
int store_delete(const struct store_pool *p, const char *name, struct err *err) _must_check_;
/*
 * The image's file, for its octets to be copied: locked until it is closed, against domains and, if it is @written, against other
 * copies. -EBUSY: it is in use; -ENOENT.
 */
int store_open(const struct store_pool *p, const char *name, bool written, struct err *err) _must_check_;
/* A raw image only grows. -EBUSY: a domain uses it (vmctl blockresize does it then); -EINVAL, -ENOTSUP. */
int store_resize(const struct store_pool *p, const char *name, uint64_t bytes, struct err *err) _must_check_;

#endif
