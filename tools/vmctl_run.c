/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl start, suspend, resume, shutdown, reboot, destroy, setmem, blockresize, loglevel: one hypercall or little more. */
#include "config.h"
#include "tools/vmctl_int.h"
#include "tools/vmhost_agent.h"
#include "tools/vmhost_ear.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"

#define GONE_WAIT_MS 2000
#define HEARD_MS     2000
#define NOT_HEARD    "no agent of it answers, so nothing may come of it"

int vmctl_start(struct cli *v, struct err *err)
{
	struct hvlaunch l = { .name = v->arg[0], .local = true, .log_level = v->value[1], .force = cli_opt(v, 2) };
	enum log_level level;
	int r;

	if (l.log_level && log_level_parse(l.log_level, &level) < 0)
		return err_set(err, EINVAL, "log level \"%s\": error, warn, info or debug", l.log_level);
	vmctl_catch_signals();
	r = vmhost_start(&l, &vmctl_while, err);
	vmctl_default_signals();
	if (r < 0)
		return r;
	printf("Domain '%s' started\n", l.name);
	if (!cli_opt(v, 0))
		return 0;
	fflush(stdout);
	v->flags = 0; /* the console's own options */
	return vmctl_console(v, err);
}

/* A call without arguments, and what to say when it is done. */
static int simple(struct cli *v, uint16_t op, const void *req, size_t len, const char *done, struct err *err)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	int r = vmhost_connect(&c, v->arg[0], err);

	if (!r)
		r = hvcall_simple(&c, op, req, len, NULL, 0, err);
	if (r < 0)
		return err_prefix(err, "%s %s", v->cmd->name, v->arg[0]);
	printf("Domain '%s' %s\n", v->arg[0], done);
	return 0;
}

int vmctl_suspend(struct cli *v, struct err *err)
{
	return simple(v, HV_OP_PAUSE, NULL, 0, "suspended", err);
}

int vmctl_resume(struct cli *v, struct err *err)
{
	int r = simple(v, HV_OP_UNPAUSE, NULL, 0, "resumed", err);

	if (!r)
		vmctl_set_time(v->arg[0]);
	return r;
}

int vmctl_reboot(struct cli *v, struct err *err)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	struct vmhost_ear ear = { 0 };
	int r = vmhost_connect(&c, v->arg[0], err);

	if (!r) {
		vmhost_listen(&c, &ear);
		r = hvcall_simple(&c, HV_OP_REBOOT, NULL, 0, NULL, 0, err);
	}
	if (r < 0)
		return err_prefix(err, "reboot %s", v->arg[0]);
	bool heard = vmhost_heard(&c, &ear, HEARD_MS, &vmctl_stopped);
	printf("Domain '%s' is being rebooted%s\n", v->arg[0], heard ? "" : ", but " NOT_HEARD);
	return 0;
}

static void on_event(void *arg, const struct hv_event *ev)
{
	if (ev->kind == HV_EV_POWEROFF)
		*(bool *)arg = true;
}

/* Until the guest said that it is off, or its hvdom is gone. */
static int wait_off(struct hvcall *c, const char *name, unsigned seconds, const struct vmhost_ear *ear, struct err *err)
{
	uint64_t deadline = now_ns() + seconds * NS_PER_S;
	bool off = false;

	c->on_event = on_event;
	c->arg = &off; /* cppcheck-suppress autoVariables */
	while (!off && !vmctl_stopped) {
		struct hv_info info;
		int r = hvcall_simple(c, HV_OP_INFO, NULL, 0, &info, sizeof(info), err);

		if (r == -ECONNRESET || r == -EPIPE)
			return 0;
		if (r < 0)
			return r;
		if (now_ns() > deadline)
			return err_set(err, ETIMEDOUT, "domain '%s' is not off after %u s%s; vmctl destroy %s ends it",
			               name, seconds,
			               vmhost_heard(c, ear, 0, &vmctl_stopped)
			                       ? ""
			                       : ": no agent of it answers, and it does not heed a power button",
			               name);
		usleep(50000);
	}
	return vmctl_stopped ? err_set(err, EINTR, "interrupted; domain '%s' goes on shutting down", name) : 0;
}

int vmctl_shutdown(struct cli *v, struct err *err)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	struct vmhost_ear ear = { 0 };
	unsigned long seconds = 0;
	int r;

	if (cli_opt(v, 0)) {
		char *end;

		seconds = strtoul(v->value[0], &end, 10);
		if (*end || !isdigit((unsigned char)*v->value[0]) || seconds > 86400)
			return err_set(err, EINVAL, "--wait \"%s\": a number of seconds", v->value[0]);
	}
	r = vmhost_connect(&c, v->arg[0], err);
	if (!r && seconds)
		r = hvcall_simple(&c, HV_OP_SUBSCRIBE, NULL, 0, NULL, 0, err);
	if (!r)
		r = vmhost_shutdown(&c, v->arg[0], &ear, err);
	if (r < 0)
		return err_prefix(err, "shutdown %s", v->arg[0]);
	if (!seconds) {
		bool heard = vmhost_heard(&c, &ear, HEARD_MS, &vmctl_stopped);
		printf("Domain '%s' is being shut down%s\n", v->arg[0], heard ? "" : ", but " NOT_HEARD);
		return 0;
	}
	vmctl_catch_signals();
	r = wait_off(&c, v->arg[0], (unsigned)seconds, &ear, err);
	/* it takes a moment to go, unless its XML lets it stay */
	if (!r)
		(void)vmhost_wait_gone(&c, v->arg[0], GONE_WAIT_MS, &vmctl_stopped);
	if (!r)
		printf("Domain '%s' is shut off\n", v->arg[0]);
	return r;
}

int vmctl_destroy(struct cli *v, struct err *err)
{
	pid_t killed = 0;
	int r = vmhost_destroy(v->arg[0], &vmctl_stopped, &killed, err);

	if (killed)
		fprintf(stderr, "vmctl: hvdom of '%s' (pid %d) does not answer: killing it\n", v->arg[0], (int)killed);
	if (!r)
		printf("Domain '%s' destroyed\n", v->arg[0]);
	return r;
}

/* As virsh reads it: a plain number is KiB. */
static int parse_size(const struct cli *v, const char *text, const char *example, uint64_t *ret, struct err *err)
{
	int r = size_parse(text, ret);

	if (!r && text[strspn(text, "0123456789")] == 0 && __builtin_mul_overflow(*ret, 1024, ret))
		r = -ERANGE;
	return r < 0 ? err_set(err, r, "%s: \"%s\" is no size; for example %s", v->cmd->name, text, example) : 0;
}

int vmctl_setmem(struct cli *v, struct err *err)
{
	struct hv_balloon_req req = { 0 };
	int r = parse_size(v, v->arg[1], "192MiB", &req.target_bytes, err);

	return r < 0 ? r : simple(v, HV_OP_BALLOON, &req, sizeof(req), "changes its memory", err);
}

int vmctl_blockresize(struct cli *v, struct err *err)
{
	struct hv_blockresize_req req = { 0 };
	int r = parse_size(v, v->arg[2], "20GiB", &req.bytes, err);

	if (!r && strlen(v->arg[1]) >= sizeof(req.disk))
		r = err_set(err, EINVAL, "%s: \"%s\" is no disk's target (vda to vdz)", v->cmd->name, v->arg[1]);
	if (r < 0)
		return r;
	snprintf(req.disk, sizeof(req.disk), "%s", v->arg[1]);
	return simple(v, HV_OP_BLOCKRESIZE, &req, sizeof(req), "has a larger disk", err);
}

int vmctl_loglevel(struct cli *v, struct err *err)
{
	enum log_level level;
	uint32_t wire;

	if (log_level_parse(v->arg[1], &level) < 0)
		return err_set(err, EINVAL, "log level \"%s\": error, warn, info or debug", v->arg[1]);
	wire = (uint32_t)level;
	return simple(v, HV_OP_LOGLEVEL, &wire, sizeof(wire), "changed its log level", err);
}
