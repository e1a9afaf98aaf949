/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvdom: one domain. Opens what needs privileges, becomes an unprivileged user of the domain's own, then boots the guest or
 * waits for one to be restored into it. Started by vmctl and migrated; see docs/man/hvdom.8.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/domain_int.h"

#define UID_FIRST                                                                                                      \
	0x68000000u /* one user id per domain, from its uuid; beyond what distributions and containers hand out */
#define UID_COUNT        0x01000000u
#define INCOMING_WAIT_NS (60 * NS_PER_S)

static void usage(FILE *f)
{
	fputs("usage: hvdom --config FILE [--ready-fd N] [--incoming] [--generation N] [--force] [--log-level L] [--foreground]\n"
	      "Runs one domain until it ends. Usually started by vmctl or migrated.\n"
	      "  --config FILE     domain XML\n"
	      "  --incoming        boot nothing: wait for memory and state on the hypercall socket\n"
	      "  --generation N    ownership generation of this start (default: one more than the lease's)\n"
	      "  --force           start though the lease names another host (it must be surely dead)\n"
	      "  --ready-fd N      write \"ok\" or \"error: TEXT\" to descriptor N once it is known\n"
	      "  --log-level L     error, warn, info (default), debug\n"
	      "  --foreground      accepted for service managers; hvdom never forks into the background\n"
	      "  --version, --help\n",
	      f);
}

static uint32_t uuid_hash(const char *uuid)
{
	uint32_t h = 2166136261u;

	for (; *uuid; uuid++)
		h = (h ^ (uint8_t)*uuid) * 16777619u;
	return h;
}

/* One hvdom per name on a host: the lock is held until the process ends, however it ends. */
static int claim_name(struct domain *d, struct err *err)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	d->run_dir = xasprintf("%s/dom/%s", path_run(), d->cfg->name);
	int r = mkdir_p(d->run_dir, 0711);
	if (r)
		return err_sys(err, -r, "cannot make the directory %s", d->run_dir);
	_cleanup_free_ char *path = xasprintf("%s/lock", d->run_dir);
	d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock_fd < 0)
		return err_sys(err, errno, "cannot open %s", path);
	/* one that is ending has removed its socket already: wait for it; one that runs is refused at once */
	_cleanup_free_ char *sock = xasprintf("%s/hv.sock", d->run_dir);
	for (int i = 0; fcntl(d->lock_fd, F_OFD_SETLK, &fl) < 0; i++) {
		if (access(sock, F_OK) < 0 && i < 500) {
			usleep(10000);
			continue;
		}
		/* its socket is not ours to remove */
		close(d->lock_fd);
		d->lock_fd = -1;
		return err_set(err, EEXIST, "domain '%s' runs on this host already (see vmctl dominfo %s)",
		               d->cfg->name, d->cfg->name);
	}
	return 0;
}

static int open_boot_log(struct domain *d)
{
	_cleanup_free_ char *path = xasprintf("%s/%s-boot.log", path_log(), d->cfg->name);

	if (mkdir_p(path_log(), 0755))
		return -1;
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

/* The host's name as leases and peers know it: <conf>/hostname, else the system's. */
static void host_name(char *out, size_t len)
{
	_cleanup_free_ char *path = xasprintf("%s/hostname", path_conf()), *text = NULL;
	size_t n;

	if (file_read(path, 256, &text, &n) == 0) {
		text[strcspn(text, " \t\n")] = 0;
		if (name_is_valid(text)) {
			snprintf(out, len, "%s", text);
			return;
		}
	}
	if (gethostname(out, len) < 0)
		snprintf(out, len, "localhost");
	out[len - 1] = 0;
	out[strcspn(out, ".")] = 0;
}

static void on_input(void *arg, const void *p, size_t len)
{
	struct domain *d = arg;

	if (d->vm)
		d->ops->input(d->vm, p, len);
}

static void on_output(void *arg, const void *p, size_t len)
{
	conlog_put(((struct domain *)arg)->con, p, len);
}

static void on_signal(void *arg, int sig)
{
	struct domain *d = arg;

	log_info("signal %d: domain '%s' ends", sig, d->cfg->name);
	domain_end(d, 0);
}

/* Give up everything: the domain's own user, no groups, no capabilities, none to come. */
static int drop_privileges(struct domain *d, struct err *err)
{
	d->env.uid = getuid();
	d->env.gid = getgid();
	if (geteuid() != 0)
		return 0;
	d->env.uid = UID_FIRST + uuid_hash(d->cfg->uuid) % UID_COUNT;
	d->env.gid = (gid_t)d->env.uid;
	if (chown(d->run_dir, d->env.uid, d->env.gid) < 0)
		return err_sys(err, errno, "cannot hand %s to the domain's user", d->run_dir);
	if (setgroups(0, NULL) < 0 || setresgid(d->env.gid, d->env.gid, d->env.gid) < 0 ||
	    setresuid(d->env.uid, d->env.uid, d->env.uid) < 0)
		return err_sys(err, errno, "cannot become the domain's user %u", d->env.uid);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return 0;
}

static void limit_resources(struct domain *d)
{
	if (geteuid() == 0)
		cgroup_make(&d->cgroup, "/sys/fs/cgroup", d->cfg->name, d->cfg->memory_bytes);
	else
		snprintf(d->cgroup.why, sizeof(d->cgroup.why), "not started as root");
	if (d->cgroup.why[0])
		log_info("domain '%s' runs without some limits of its control group (%s)", d->cfg->name, d->cgroup.why);
	if (cgroup_janitor(&d->cgroup))
		log_info("the control group of domain '%s' will stay after its end", d->cfg->name);
}

static void on_process(void *arg, pid_t pid)
{
	struct domain *d = arg;
	int r = cgroup_add(&d->cgroup, pid);

	if (r)
		log_warn("cannot limit the guest of domain '%s': %s", d->cfg->name, strerror(-r));
}

/* Everything that needs the host's privileges, then everything that must not have them. */
static int set_up(struct domain *d, struct err *err)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	struct devs_events ev = { .broken = domain_broken, .silent = domain_silent, .arg = d };
	int r;

	r = d->ops->probe(d->cfg, err);
	if (!r)
		r = claim_name(d, err);
	if (!r)
		r = devs_new(d->cfg, &ev, &d->devs, err);
	if (!r)
		limit_resources(d);
	uid_t uid = geteuid() == 0 ? UID_FIRST + uuid_hash(d->cfg->uuid) % UID_COUNT : getuid();
	if (!r)
		r = leases_open(&d->leases, d->cfg, uid, err);
	if (r)
		return r;
	d->con = conlog_new(d->loop, open_boot_log(d), on_input, d);
	if (!d->con)
		return err_set(err, ENOMEM, "out of memory");
	_cleanup_free_ char *sock = xasprintf("%s/hv.sock", d->run_dir);
	_cleanup_close_ int listen_fd = hvserver_listen(sock, err);
	if (listen_fd < 0)
		return listen_fd;
	r = loop_add_signals(d->loop, sigs, on_signal, d);
	if (r)
		return err_sys(err, -r, "cannot watch signals");
	signal(SIGPIPE, SIG_IGN);
	r = drop_privileges(d, err);
	if (!r)
		r = d->ops->kernel_id(d->cfg, d->kernel_id, err);
	if (!r && d->incoming)
		r = dommem_new(d, err);
	d->env.devs = d->devs;
	if (!r)
		r = d->ops->open(&d->env, &d->vm, err);
	if (!r)
		r = devs_start(d->devs, err);
	if (r)
		return r;
	d->server = hvserver_new(d->loop, steal_fd(&listen_fd), &domcall_ops, d, err);
	return d->server ? 0 : -err->code;
}

/* An incoming copy that nobody began to fill is a start whose client died. */
static void on_forgotten(void *arg)
{
	struct domain *d = arg;

	if (d->state != HV_DOM_INCOMING || d->importer)
		return;
	log_warn("nobody came to fill domain '%s': this copy ends", d->cfg->name);
	domain_end(d, 1);
}

static void tear_down(struct domain *d)
{
	if (d->vm)
		d->ops->kill(d->vm);
	if (d->owner) {
		struct lease_record rec = { .generation = d->generation, .state = LEASE_STOPPED };
		struct err e;
		snprintf(rec.owner, sizeof(rec.owner), "%s", d->host);
		if (leases_write(&d->leases, &rec, &e))
			log_error("%s", e.text);
	}
	hvserver_free(d->server);
	if (d->vm)
		d->ops->close(d->vm);
	devs_free(d->devs);
	leases_done(&d->leases);
	conlog_free(d->con);
	dommem_done(d);
	cgroup_done(&d->cgroup);
	loop_del_timer(d->throttle_timer);
	loop_del_timer(d->destroy_timer);
	loop_del_timer(d->announce_timer);
	loop_del_timer(d->incoming_timer);
	/* the lock file stays: removing it would let two processes lock two files of one name */
	if (d->lock_fd >= 0) {
		domain_unlink_socket(d);
		close(d->lock_fd);
	}
	free(d->run_dir);
	if (d->ready_fd >= 0)
		close(d->ready_fd);
	loop_free(d->loop);
	dom_config_free(d->cfg);
}

int main(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "config", required_argument, NULL, 'c' }, { "ready-fd", required_argument, NULL, 'r' },
		{ "incoming", no_argument, NULL, 'i' },     { "generation", required_argument, NULL, 'g' },
		{ "force", no_argument, NULL, 'F' },        { "log-level", required_argument, NULL, 'l' },
		{ "foreground", no_argument, NULL, 'f' },   { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },         { 0 },
	};
	static struct domain d = { .mem.fd = -1, .bitmap_fd = -1, .ready_fd = -1, .lock_fd = -1, .cgroup.janitor = -1 };
	enum log_level level = LOG_LEVEL_INFO;
	const char *config = NULL;
	struct err err = { 0 };
	int o;

	while ((o = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		switch (o) {
		case 'c':
			config = optarg;
			break;
		case 'r':
			d.ready_fd = atoi(optarg);
			fcntl(d.ready_fd, F_SETFD, FD_CLOEXEC);
			break;
		case 'i':
			d.incoming = true;
			break;
		case 'g':
			d.forced_generation = strtoull(optarg, NULL, 10);
			break;
		case 'l':
			if (log_level_parse(optarg, &level)) {
				fprintf(stderr, "hvdom: unknown log level '%s'\n", optarg);
				return 2;
			}
			break;
		case 'F':
			d.force = true;
			break;
		case 'f':
			break;
		case 'V':
			puts("hvdom " PACKAGE_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (!config || optind < argc) {
		usage(stderr);
		return 2;
	}
	log_init("hvdom", level);
	int r = dom_config_load(config, &d.cfg, &err);
	if (r) {
		log_error("%s", err.text);
		domain_tell_ready(&d, &err);
		return 1;
	}
	d.loop = loop_new();
	d.ops = hv_engine_for(d.cfg);
	host_name(d.host, sizeof(d.host));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	d.env = (struct hv_engine_env){ .loop = d.loop,
		                        .cfg = d.cfg,
		                        .mem = &d.mem,
		                        .arg = &d,
		                        .ready = domain_ready,
		                        .exited = domain_exited,
		                        .output = on_output,
		                        .process = on_process,
		                        .cpu = (int)(uuid_hash(d.cfg->uuid) % (uint32_t)(cpus > 0 ? cpus : 1)) };
	for (size_t i = 0; i < d.cfg->n_unknown; i++)
		log_info("%s: <%s> is kept but not used", config, d.cfg->unknown[i]);
	d.state = d.incoming ? HV_DOM_INCOMING : HV_DOM_BOOTING;
	r = d.loop ? 0 : err_set(&err, ENOMEM, "out of memory");
	if (!r)
		r = set_up(&d, &err);
	if (!r && !d.incoming)
		r = domain_boot(&d, &err);
	if (r) {
		log_error("%s", err.text);
		domain_tell_ready(&d, &err);
		tear_down(&d);
		return 1;
	}
	if (d.incoming) {
		domain_tell_ready(&d, NULL);
		d.incoming_timer = loop_add_timer(d.loop, on_forgotten, &d);
		loop_timer_in(d.incoming_timer, INCOMING_WAIT_NS);
	}
	r = loop_run(d.loop);
	tear_down(&d);
	return r;
}
