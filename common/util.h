/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small functions that at least two folders need: full reads and writes, atomic files, descriptor passing, names. */
#ifndef HOSPES_COMMON_UTIL_H
#define HOSPES_COMMON_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

#define PAGE_BYTES 4096u
#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

uint64_t boot_ns(void); /* CLOCK_BOOTTIME: also counts while the machine is suspended to memory */

int read_full(int fd, void *p, size_t len) _must_check_;            /* 0, -errno, -ENODATA on early end */
int write_full(int fd, const void *p, size_t len) _must_check_;
/* Read a whole file of at most @max bytes into malloc'd *@ret (NUL added). -EFBIG when larger. */
int file_read(const char *path, size_t max, char **ret, size_t *ret_len) _must_check_;
/* Replace @path atomically and durably: temp file in the same directory, fsync, rename, fsync of the directory. */
int file_write_atomic(const char *path, const void *p, size_t len, mode_t mode) _must_check_;
int mkdir_p(const char *path, mode_t mode) _must_check_;

/* One message with up to 16 descriptors over a Unix socket. sock_send_fds() sends the whole message or fails.
 * sock_recv_fds() returns the bytes read (0: closed) or -errno; received descriptors are CLOEXEC; *n_fds is the room on
 * entry and the count on return; -EMSGSIZE: the message was truncated, and all received descriptors are closed. */
int sock_send_fds(int fd, const void *p, size_t len, const int *fds, size_t n_fds) _must_check_;
ssize_t sock_recv_fds(int fd, void *p, size_t len, int *fds, size_t *n_fds) _must_check_;
/*
 * Listen on the Unix socket @path (mode 0600), of @type SOCK_STREAM or SOCK_SEQPACKET. A socket that nobody serves is
 * replaced. Returns the descriptor (non-blocking, owned by the caller), or -errno with the text: -EADDRINUSE when another
 * process serves there (@who: the program's name, for the text); -ENAMETOOLONG; as bind(2).
 */
int sock_listen(const char *path, int type, int backlog, const char *who, struct err *err) _must_check_;

/* A domain or host name: 1-63 of [A-Za-z0-9._+-], not starting with '.' or '-'. */
bool name_is_valid(const char *name);
/* A uuid as text: 8-4-4-4-12 hexadecimal digits of either case. */
bool uuid_is_valid(const char *uuid);
/*
 * Turn @s, a foreign or truncated text, into one line of valid UTF-8, so that it is safe for terminals, logs and JSON.
 * A control character becomes a space, an invalid octet "?", and half a character at the end is removed.
 */
void text_tidy(char *s);
/* "64", "64KiB", "1.5GiB", "2G" (1024) to bytes. -EINVAL, -ERANGE. */
int size_parse(const char *text, uint64_t *ret_bytes) _must_check_;
/* Bytes for people: "1.5 GiB". Returns @buf. */
char *size_format(uint64_t bytes, char *buf, size_t len);

/* Where things live. HOSPES_RUNDIR, HOSPES_STATEDIR, HOSPES_CONFDIR, HOSPES_LOGDIR override (tests, unprivileged use). */
const char *path_run(void);      /* /run/hospes, unless configure or the environment says otherwise; so the others */
const char *path_state(void);    /* /var/lib/hospes */
const char *path_conf(void);     /* /etc/hospes */
const char *path_log(void);      /* /var/log/hospes */
const char *path_doc(void);      /* <prefix>/share/doc/hospes */
/* asprintf that cannot return NULL: out of memory ends the process with a message. */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Between fork and exec: signals as a program expects them, whatever its parent did with those that daemons take. System calls only. */
void signals_reset(void);

#endif
