/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Crash points: see fault.h. Without HOSPES_FAULT each costs one getenv(). */
#include "config.h"
#include "common/fault.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/log.h"

bool fault_point(const char *side, const char *kind, const char *what, const char *suffix, pid_t hvdom)
{
	const char *spec = getenv("HOSPES_FAULT");
	char name[128];

	if (!spec)
		return false;
	int n = snprintf(name, sizeof(name), "%s.%s.%s%s", side, kind, what, suffix);
	if (n < 0 || (size_t)n >= sizeof(name) || strncmp(spec, name, (size_t)n) || spec[n] != ':')
		return false;
	const char *action = spec + n + 1;
	log_warn("fault injection: %s: %s", name, action);
	(void)log_flush(LOG_FLUSH_MS);
	if (!strcmp(action, "kill"))
		kill(getpid(), SIGKILL);
	else if (!strcmp(action, "stop"))
		kill(getpid(), SIGSTOP);
	else if (!strcmp(action, "hvdom") && hvdom > 0)
		kill(hvdom, SIGKILL);
	else if (!strcmp(action, "mute") && hvdom > 0)
		kill(hvdom, SIGSTOP);
	while (!strncmp(action, "hold:", 5) && access(action + 5, F_OK) == 0)
		usleep(10000);
	if (strcmp(action, "drop"))
		return false;
	unsetenv("HOSPES_FAULT"); /* once: what is lost is said again */
	return true;
}
