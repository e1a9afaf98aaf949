/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file of a saved domain (docs/wire/savefile.md): a writer that leaves a whole file or none, and a reader that
 * trusts no octet of it. Used by vmctl. Of hypercalls it knows only the structure of memory regions. One thread per
 * object.
 */
#ifndef HOSPES_HYPERVISOR_SAVEFILE_H
#define HOSPES_HYPERVISOR_SAVEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/hypercall.h"

#define SAVEFILE_VERSION 1u
#define SAVEFILE_XML_MAX (1u << 20)
#define SAVEFILE_STATE_MAX (256u << 20)
#define SAVEFILE_RUN_PAGES 64u

/* The parts on disk. */
struct savefile_header {
	char magic[8];
	uint32_t version;
	uint32_t header_bytes;
	uint32_t xml_bytes;
	uint32_t n_regions;
	uint64_t state_bytes;
	uint64_t created_s;
	char engine[16];
	char kernel_id[40];
	uint64_t generation;
	uint8_t reserved[24];
};
_Static_assert(sizeof(struct savefile_header) == 128, "header of a save file");

struct savefile_region {
	uint64_t guest_addr;
	uint64_t size_bytes;
	char name[16];
	uint64_t pad;
};
_Static_assert(sizeof(struct savefile_region) == 40, "region of a save file");

struct savefile_run {
	uint32_t region;
	uint32_t n_pages;
	uint64_t first_page;
	uint32_t coding;
	uint32_t data_bytes;
};
_Static_assert(sizeof(struct savefile_run) == 24, "run of a save file");

struct savefile_trailer {
	uint64_t hash;
	char end_magic[8];
};
_Static_assert(sizeof(struct savefile_trailer) == 16, "trailer of a save file");

/* What a file says about its domain. */
struct savefile_meta {
	char engine[17];           /* NUL terminated */
	char kernel_id[41];        /* NUL terminated */
	uint64_t created_s;
	uint64_t generation;       /* of the run that was saved; 0: not known */
	uint64_t state_bytes;
	uint32_t n_regions;
	struct savefile_region region[HV_REGIONS_MAX];
	char *xml;                 /* owned by whoever made the struct; NUL terminated */
	size_t xml_len;
};

/* A progress callback. False ends the work with -ECANCELED. @total_bytes 0: not known. */
struct savefile_progress {
	bool (*fn)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

struct savefile_out;

/* Begin a file at @path. @meta is borrowed for the call. */
int savefile_create(const char *path, const struct savefile_meta *meta, struct savefile_out **ret, struct err *err) _must_check_;
/* Region 0, then 1...: the pages of memfd @fd (borrowed), holes and zero pages left out. */
int savefile_put_region(struct savefile_out *o, uint32_t region, int fd, const struct savefile_progress *progress,
                        struct err *err) _must_check_;
/* After all regions: the state, state_bytes octets from offset 0 of @fd (borrowed). */
int savefile_put_state(struct savefile_out *o, int fd, struct err *err) _must_check_;
/* Make the file durable and give it its name. *@ret_bytes: size of the file. */
int savefile_commit(struct savefile_out *o, uint64_t *ret_bytes, struct err *err) _must_check_;
/* Free @o; a file that was not committed leaves nothing behind. Takes NULL. */
void savefile_out_free(struct savefile_out *o);
static inline void cleanup_savefile_out(struct savefile_out **o) { savefile_out_free(*o); }
#define _cleanup_savefile_out_ __attribute__((cleanup(cleanup_savefile_out)))

struct savefile_in;

/* Open @path and read all but memory and state. */
int savefile_open(const char *path, struct savefile_in **ret, struct err *err) _must_check_;
/* The same for an open, seekable @fd (owned from now on, also on failure); @path is only its name in messages. */
int savefile_open_fd(int fd, const char *path, struct savefile_in **ret, struct err *err) _must_check_;
const struct savefile_meta *savefile_meta(const struct savefile_in *in);
/* Read the whole file and check every rule and the hash. */
int savefile_verify(struct savefile_in *in, const struct savefile_progress *progress, struct err *err) _must_check_;
/*
 * Check the file again, write the pages into the memfds @region_fds (borrowed, one per region, all zero) and the state
 * into @state_fd (borrowed, empty). On failure their content is undefined.
 */
int savefile_load(struct savefile_in *in, const int *region_fds, int state_fd, const struct savefile_progress *progress,
                  struct err *err) _must_check_;
void savefile_in_free(struct savefile_in *in); /* takes NULL */
static inline void cleanup_savefile_in(struct savefile_in **in) { savefile_in_free(*in); }
#define _cleanup_savefile_in_ __attribute__((cleanup(cleanup_savefile_in)))

#endif
