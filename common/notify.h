/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a daemon says to the service manager that started it (sd_notify(3), units of Type=notify). Never blocks; any thread. */
#ifndef HOSPES_COMMON_NOTIFY_H
#define HOSPES_COMMON_NOTIFY_H

/* From now on this daemon serves. Says nothing without NOTIFY_SOCKET in the environment, which is as good. */
void notify_ready(void);

#endif
