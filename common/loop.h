/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small event loop over epoll: file descriptors, one-shot timers, and posts from other threads.
 * One loop belongs to one thread; only loop_post() and loop_quit_post() may be called from another one.
 * Handlers may add and remove any source, their own included, while they run.
 */
#ifndef HOSPES_COMMON_LOOP_H
#define HOSPES_COMMON_LOOP_H

#include <stdint.h>
#include "common/cleanup.h"

struct loop;
struct loop_fd;
struct loop_timer;

struct loop *loop_new(void);              /* NULL: out of memory or descriptors, errno set */
void loop_free(struct loop *l);           /* takes NULL; frees all sources, closes no user fd */

/* Watch @fd for @events (EPOLLIN|...; level triggered unless EPOLLET). The loop does not own @fd. */
struct loop_fd *loop_add_fd(struct loop *l, int fd, uint32_t events,
                            void (*fn)(void *arg, int fd, uint32_t revents), void *arg);
int loop_mod_fd(struct loop_fd *s, uint32_t events);
void loop_del_fd(struct loop_fd *s);      /* takes NULL; call before closing the fd */

/* One-shot timer, created disarmed. @at_ns: CLOCK_MONOTONIC; UINT64_MAX disarms. */
struct loop_timer *loop_add_timer(struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_at(struct loop_timer *t, uint64_t at_ns);
void loop_timer_in(struct loop_timer *t, uint64_t delay_ns);
void loop_del_timer(struct loop_timer *t); /* takes NULL */

/* Run @fn(@arg) soon on the loop's thread. Thread safe. -ENOMEM. */
int loop_post(struct loop *l, void (*fn)(void *arg), void *arg) _must_check_;

int loop_run(struct loop *l);             /* until loop_quit(); returns its value */
int loop_run_once(struct loop *l, int timeout_ms);
void loop_quit(struct loop *l, int value);

/* Block SIGTERM/SIGINT/... in the calling thread and deliver them as events. @sigs ends with 0. The source is owned by the loop. */
int loop_add_signals(struct loop *l, const int *sigs, void (*fn)(void *arg, int sig), void *arg) _must_check_;

uint64_t now_ns(void);                    /* CLOCK_MONOTONIC */

#endif
