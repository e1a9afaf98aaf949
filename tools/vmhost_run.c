/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starts hvdom (hypervisor/api/launch.h) and waits until it is ready; ends one. See vmhost.h. */
#include "config.h"
#include "tools/vmhost.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "clusterd/guard/managed.h"
#include "common/loop.h"
#include "hypervisor/api/hvproc.h"

#define DESTROY_WAIT_MS 10000

/* The line that hvdom says on the pipe, without its newline; "" when it ended without one. */
static int read_ready(const struct hvlaunch *l, const struct vmhost_while *w, char *line, size_t room, struct err *err)
{
	uint64_t start_ns = now_ns();
	size_t len = 0;
	int r = 0;

	while (len < room - 1 && !memchr(line, '\n', len)) {
		struct pollfd p = { .fd = l->ready_fd, .events = POLLIN };
		ssize_t n;

		if (w->stop && *w->stop) {
			r = err_set(err, EINTR, "interrupted: domain '%s' was not started", l->name);
			break;
		}
		if (poll(&p, 1, 500) <= 0) {
			if (w->starting)
				w->starting(w->arg, l, now_ns() - start_ns);
			continue;
		}
		n = read(l->ready_fd, line + len, room - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (w->started)
		w->started(w->arg);
	line[len] = 0;
	line[strcspn(line, "\n")] = 0;
	return r;
}

int vmhost_launch(struct hvlaunch *l, const struct vmhost_while *w, struct err *err)
{
	char line[ERR_TEXT_MAX] = "";
	int r = hvlaunch_begin(l, err);

	if (r < 0)
		return r;
	r = read_ready(l, w, line, sizeof(line), err);
	close(l->ready_fd);
	l->ready_fd = -1;
	if (!r)
		r = hvlaunch_result(l, line, err);
	if (r < 0)
		hvlaunch_kill(l);
	return r;
}

int vmhost_start(struct hvlaunch *l, const struct vmhost_while *w, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_free_ char *path = NULL;
	int r = vmhost_definition_path(l->name, &path, err);

	if (r < 0)
		return r;
	if (managed_listed(l->name, NULL))
		return err_set(err, EPERM,
		               "'%s' is a domain of the cluster, which decides where it runs: vmclus start %s", l->name,
		               l->name);
	if (vmhost_is_running(l->name))
		return err_set(err, EEXIST, "domain '%s' is already running", l->name);
	r = dom_config_load(path, &cfg, err);
	if (r == -ENOENT)
		return err_set(err, r, "no domain '%s' is defined; vmctl define FILE", l->name);
	if (r < 0)
		return r;
	l->config = path;
	r = vmhost_launch(l, w, err);
	l->config = NULL;
	return r;
}

/* It hung and was killed: nor does anything live that it started. */
static bool all_gone(const char *name)
{
	for (unsigned i = 0; i < 500; i++) {
		if (!hvproc_alive(name))
			return true;
		(void)!hvproc_kill(name);
		usleep(10000);
	}
	return false;
}

int vmhost_destroy(const char *name, const volatile sig_atomic_t *stop, pid_t *ret_killed, struct err *err)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	struct hv_destroy_req req = { 0 };
	int r = vmhost_connect(&c, name, err);

	if (r < 0)
		return err_prefix(err, "destroy");
	c.timeout_ms = DESTROY_WAIT_MS;
	r = hvcall_simple(&c, HV_OP_DESTROY, &req, sizeof(req), NULL, 0, err);
	if (r < 0 && r != -ECONNRESET && r != -ETIMEDOUT)
		return err_prefix(err, "destroy %s", name);
	if (r == -ECONNRESET || (!r && vmhost_wait_gone(&c, name, DESTROY_WAIT_MS, stop)))
		return 0;
	/* it hangs; the guest ends with its hvdom */
	pid_t pid = hvproc_pid(name);
	if (pid <= 1)
		return err_set(err, ETIMEDOUT, "destroy %s: hvdom does not answer and its process is not known", name);
	*ret_killed = pid;
	r = hvproc_kill(name);
	if (r < 0)
		return err_sys(err, r, "destroy %s: kill %d", name, (int)pid);
	if (!all_gone(name))
		return err_set(err, EBUSY, "destroy %s: its processes were killed and do not end", name);
	return 0;
}
