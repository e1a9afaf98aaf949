/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What several commands of vmctl need: finding domains, signals, progress, JSON. See vmctl_int.h. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/dompath.h"

volatile sig_atomic_t vmctl_stopped;

static void on_stop(int sig)
{
	(void)sig;
	vmctl_stopped = 1;
}

static void set_signals(void (*handler)(int))
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = handler }; /* no SA_RESTART: waiting calls notice */

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaction(sigs[i], &sa, NULL);
}

void vmctl_catch_signals(void)
{
	set_signals(on_stop);
}

void vmctl_default_signals(void)
{
	set_signals(SIG_DFL);
}

int vmctl_definition_path(const char *name, char **ret, struct err *err)
{
	if (!name_is_valid(name))
		return err_set(err, EINVAL, "\"%s\" is no domain name", name);
	*ret = dompath_definition(name);
	return 0;
}

bool vmctl_is_defined(const char *name)
{
	_cleanup_free_ char *path = NULL;

	return !vmctl_definition_path(name, &path, NULL) && !access(path, F_OK);
}

int vmctl_connect(struct hvcall *c, const char *name, struct err *err)
{
	_cleanup_free_ char *log = dompath_log(name);
	int r = hvcall_open(c, name, err);

	if (r == -ENOENT && vmctl_is_defined(name))
		return err_set(err, r, "domain '%s' is shut off; vmctl start %s", name, name);
	if (r == -ENOENT)
		return err_set(err, r, "no domain '%s'; vmctl list --all shows those that there are", name);
	if (r == -ECONNREFUSED)
		return err_set(err, r, "domain '%s' does not run: its hvdom died, see %s; vmctl start %s", name, log,
		               name);
	if (r == -EACCES)
		return err_set(err, r, "domain '%s': permission denied; run vmctl as the user that started it (root?)",
		               name);
	return r;
}

bool vmctl_is_running(const char *name)
{
	_cleanup_hvcall_ struct hvcall c;

	return !hvcall_open(&c, name, NULL);
}

bool vmctl_wait_gone(struct hvcall *c, const char *name, unsigned ms)
{
	uint64_t deadline = now_ns() + ms * NS_PER_MS;
	bool closed = false;

	while (now_ns() < deadline && !vmctl_stopped) {
		struct hv_info info;

		if (!closed) {
			int r = hvcall_simple(c, HV_OP_INFO, NULL, 0, &info, sizeof(info), NULL);

			closed = r == -ECONNRESET || r == -EPIPE;
		}
		if (closed) {
			_cleanup_hvcall_ struct hvcall again = { .fd = -1 };

			if (hvcall_open(&again, name, NULL) == -ENOENT)
				return true;
		}
		usleep(5000);
	}
	return closed;
}

int vmctl_running_xml(struct hvcall *c, char **ret, struct err *err)
{
	_cleanup_free_ char *xml = malloc(HV_PAYLOAD_MAX + 1);
	size_t len = 0;
	int r;

	if (!xml)
		return err_sys(err, ENOMEM, "dumpxml");
	r = hvcall(c, HV_OP_DUMPXML, NULL, 0, NULL, 0, xml, HV_PAYLOAD_MAX, &len, NULL, NULL, err);
	if (r < 0)
		return r;
	xml[len] = 0;
	*ret = steal_ptr(&xml);
	return 0;
}

const char *vmctl_state_name(uint32_t state)
{
	static const char *const names[] = {
		[HV_DOM_BOOTING] = "booting",     [HV_DOM_RUNNING] = "running",         [HV_DOM_PAUSED] = "paused",
		[HV_DOM_SUSPENDED] = "suspended", [HV_DOM_RELINQUISHED] = "moved away", [HV_DOM_INCOMING] = "incoming",
		[HV_DOM_RESTORED] = "restored",   [HV_DOM_SHUTDOWN] = "in shutdown",    [HV_DOM_CRASHED] = "crashed",
		[HV_DOM_PARKED] = "parked",
	};

	return state < ARRAY_SIZE(names) && names[state] ? names[state] : "unknown";
}

int vmctl_print_json(json_t *root, struct err *err)
{
	int r = root && !json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) ? 0 : -ENOMEM;

	if (!r)
		putchar('\n');
	json_decref(root);
	return r < 0 ? err_sys(err, r, "print JSON") : 0;
}

bool vmctl_progress_step(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct vmctl_progress *p = arg;
	uint64_t now = now_ns();
	char size[32];

	if (isatty(STDERR_FILENO) && now - p->shown_ns > 200 * NS_PER_MS) {
		p->shown_ns = now;
		p->shown = true;
		fprintf(stderr, "\r%s %3u %%  %s \033[K", p->text,
		        total_bytes ? (unsigned)(100.0 * (double)done_bytes / (double)total_bytes) : 0,
		        size_format(done_bytes, size, sizeof(size)));
	}
	return !vmctl_stopped;
}

void vmctl_progress_end(struct vmctl_progress *p)
{
	if (p->shown)
		fprintf(stderr, "\r\033[K");
	p->shown = false;
}
