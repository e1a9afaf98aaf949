/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a daemon says to the service manager that started it (sd_notify(3), units of Type=notify), and the sockets that it gets from it
 * (sd_listen_fds(3)). Never blocks; any thread.
 */
#ifndef HOSPES_COMMON_NOTIFY_H
#define HOSPES_COMMON_NOTIFY_H

/* From now on this daemon serves. Says nothing without NOTIFY_SOCKET in the environment, which is as good. */
void notify_ready(void);

/*
 * The socket of unit @unit ("x.socket"; NULL: the only one) that the manager listened on and handed over: the caller's, close-on-exec.
 * -1: there is none.
 */
int notify_socket(const char *unit);

#endif
