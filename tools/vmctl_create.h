/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl create: shared by its files. What it makes is removed again unless all of it was made. One thread. */
#ifndef HOSPES_TOOLS_VMCTL_CREATE_H
#define HOSPES_TOOLS_VMCTL_CREATE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/domcfg.h"
#include "tools/vmctl_seed.h"
#include "tools/vmimage.h"

/* What was asked for; texts are borrowed. */
struct create {
	const char *name, *bridge, *user, *ssh_key, *user_data; /* all but @name may be NULL */
	const char *address, *gateway, *dns;                    /* NULL: by DHCP */
	const char *engine;                                     /* pv, qemu, kvm */
	char *dir;                                              /* where the domain's directory is made; owned */
	uint64_t memory_bytes, disk_bytes;
	unsigned vcpus;
	bool cluster, seed;
	struct vmimage image;
};

/* The domain's files; all are owned by the caller. */
char *create_disk_path(const struct create *c);
char *create_initrd_path(const struct create *c);
char *create_seed_path(const struct create *c);
/* Its definition, parsed. */
int create_config(const struct create *c, struct dom_config **ret, struct err *err) _must_check_;
/* User data (of --ssh-key, or the file that was given), meta data and addresses for the guest. */
int create_seed_parts(const struct create *c, const struct dom_config *cfg, struct seed_parts *ret,
                      struct err *err) _must_check_;
/* "10.0.0.5/24" of --address: is it one? With @ret_ip (room for INET6_ADDRSTRLEN) also without its bits. */
bool create_address_is_valid(const char *text, char *ret_ip);

/* Of the cluster, by this host's clusterd. */
/* 1: the cluster has a domain @name, 0: it has not; or -errno. */
int create_cluster_has(const char *name, struct err *err) _must_check_;
/* Define it there, and print which hosts cannot run it. */
int create_cluster_define(const struct dom_config *cfg, struct err *err) _must_check_;
int create_cluster_start(const char *name, struct err *err) _must_check_;
/* Stop it if need be and forget it; for the undoing. */
int create_cluster_undo(const char *name, struct err *err) _must_check_;
/* Warn if @dir is on a file system that only this host has. */
void create_cluster_look_at_dir(const char *dir);

/*
 * Until the guest at @ip answers on SSH's port, @seconds at most. Empty: at one of the addresses that its own agent tells, which @ip
 * (INET6_ADDRSTRLEN) gets. -ETIMEDOUT, -EINTR, -ECONNABORTED: it ended; -EREMOTE: the agent is on another host of the cluster.
 */
int create_wait_ssh(const struct create *c, char *ip, double seconds, struct err *err) _must_check_;

#endif
