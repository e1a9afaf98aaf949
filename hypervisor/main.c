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
#include "clusterd/guard/managed.h"
#include "common/hostname.h"
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/check.h"
#include "hypervisor/domcall_int.h"
#include "hypervisor/api/firmware.h"
#include "hypervisor/api/rundir.h"

#define UID_FIRST                                                                                                      \
	0x68000000u /* one user id per domain, from its uuid; beyond what distributions and containers hand out */
#define UID_COUNT        0x01000000u
#define INCOMING_WAIT_NS (60 * NS_PER_S)
#define END_S            10u /* how long a domain's end may wait for storage */

static void usage(FILE *f)
{
	fputs("usage: hvdom --config FILE [--ready-fd N] [--incoming] [--generation N] [--force] [--local]\n"
	      "             [--cpu-baseline BITS] [--log-level L]\n"
	      "       hvdom --engines\n"
	      "       hvdom --check FILE [--local]\n"
	      "Runs one domain until it ends. Usually started by vmctl or migrated.\n"
	      "  --config FILE     domain XML\n"
	      "  --incoming        boot nothing: wait for memory and state on the hypercall socket\n"
	      "  --generation N    ownership generation of this start (default: one more than the lease's)\n"
	      "  --force           start though the lease names another host (it must be surely dead)\n"
	      "  --local           the definition is this host's own: paths.json may let it name any path\n"
	      "  --cpu-baseline B  what a CPU of mode host-model may have (default: all that is here)\n"
	      "  --ready-fd N      write \"ok\" or \"error: TEXT\" to descriptor N once it is known\n"
	      "  --log-level L     error, warn, info (default), debug\n"
	      "  --engines         say which engines this host has, one line of JSON each, and end\n"
	      "  --check FILE      say whether the domain could run here, the same way, and end\n"
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

static uid_t domain_uid(const struct domain *d)
{
	return UID_FIRST + uuid_hash(d->cfg->uuid) % UID_COUNT;
}

/* One hvdom per name on a host: the lock is held until the process ends, however it ends. */
static int claim_name(struct domain *d, struct err *err)
{
	d->run_dir = dompath_run(d->cfg->name);
	d->lock_fd = rundir_claim(d->run_dir, d->cfg->name, err);
	return d->lock_fd < 0 ? d->lock_fd : 0;
}

/*
 * Who we are, where the domain's own user cannot change it, before anything of a guest is here. The lock above is that user's to release: so
 * the one before us of this name has to be gone by its record, too, and what lets us run (a lease of this host) is looked at after ours is
 * there: whoever ends all that runs at the end of the lease finds it, or we find the lease to be over.
 */
static int register_self(struct domain *d, struct err *err)
{
	struct procs before;
	int r = procs_read(d->cfg->name, &before);

	/* one that ends lets go of its lock before the last of its processes is gone */
	for (int i = 0; r == 0 && procs_live(&before); i++) {
		if (i == 500)
			r = -EEXIST;
		usleep(10000);
	}
	if (r < 0 && r != -ENOENT) {
		/* nor is its socket ours to remove */
		close(d->lock_fd);
		d->lock_fd = -1;
		return r != -EEXIST
		               ? err_sys(err, -r, "cannot tell from %s/procs/%s whether it lives", path_run(),
		                         d->cfg->name)
		               : err_set(err, EEXIST, "processes of a domain '%s' of before live on this host still",
		                         d->cfg->name);
	}
	r = procs_self(&d->procs);
	if (r < 0)
		return err_sys(err, -r, "cannot tell when this process began");
	d->procs.uid = geteuid() == 0 ? domain_uid(d) : 0;
	r = procs_write(d->cfg->name, &d->procs, err);
	if (r < 0)
		return r;
	if (!managed_may_run(d->cfg->name))
		return err_set(err, ETIME, "domain '%s' is its cluster's, and the lease of this host is over",
		               d->cfg->name);
	return 0;
}

static int open_log(const char *path, int flags)
{
	return open(path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
}

static void open_boot_log(struct domain *d, struct boundlog *ret)
{
	_cleanup_free_ char *path = xasprintf("%s/%s-boot.log", path_log(), d->cfg->name),
			    *past = xasprintf("%s.1", path);
	bool ok = !mkdir_p(path_log(), 0755);

	boundlog_init(ret, ok ? open_log(path, O_RDWR | O_APPEND) : -1, ok ? open_log(past, O_WRONLY) : -1,
	              BOUNDLOG_PIECE);
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
/* Never root's: what is root's alone stays so. 0: none. */
static gid_t device_group(const char *device)
{
	struct stat st;

	return device && stat(device, &st) == 0 && S_ISCHR(st.st_mode) && (st.st_mode & 0060) == 0060 ? st.st_gid : 0;
}

static int drop_privileges(struct domain *d, struct err *err)
{
	d->env.uid = getuid();
	d->env.gid = getgid();
	if (geteuid() != 0)
		return 0;
	d->env.uid = domain_uid(d);
	d->env.gid = (gid_t)d->env.uid;
	gid_t group = device_group(d->ops->device);
	if (setgroups(group ? 1 : 0, &group) < 0 || setresgid(d->env.gid, d->env.gid, d->env.gid) < 0 ||
	    setresuid(d->env.uid, d->env.uid, d->env.uid) < 0)
		return err_sys(err, errno, "cannot become the domain's user %u", d->env.uid);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return 0;
}

/* A group of its own, whoever started us, and known to be ours; and no protection that a daemon has and a guest must not. */
static int limit_resources(struct domain *d, struct err *err)
{
	_cleanup_close_ int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (oom < 0 || write(oom, "0", 1) != 1)
		log_info("oom_score_adj stays: %s", strerror(errno));
	if (geteuid() == 0)
		cgroup_make(&d->cgroup, "/sys/fs/cgroup", d->cfg->name, d->cfg->memory_bytes, domain_uid(d));
	else
		snprintf(d->cgroup.why, sizeof(d->cgroup.why), "not started as root");
	if (d->cgroup.why[0])
		log_info("domain '%s' runs without some limits of its control group (%s)", d->cfg->name, d->cgroup.why);
	d->cgroup.left_dir = display_file(d->display, &d->cgroup.left_name, &d->cgroup.left_ino);
	if (cgroup_janitor(&d->cgroup) < 0)
		log_info("the control group of domain '%s' will stay after its end", d->cfg->name);
	cgroup_enter(&d->cgroup);
	const char *group = cgroup_evidence(&d->cgroup, &d->procs.group_ino);
	if (!group || strlen(group) >= sizeof(d->procs.group))
		return 0;
	strcpy(d->procs.group, group);
	return procs_write(d->cfg->name, &d->procs, err);
}

static void on_process(void *arg, pid_t pid)
{
	struct domain *d = arg;
	int r = cgroup_add(&d->cgroup, pid);

	if (r < 0)
		log_warn("cannot limit the guest of domain '%s': %s", d->cfg->name, strerror(-r));
}

/* A definition may come from elsewhere: what root opens for it lies in allowed directories. */
static int bound_paths(struct domain *d, struct err *err)
{
	int r = path_rules_load(&d->paths, err);

	if (r < 0 || (d->local && d->paths.local_any))
		return r;
	d->cfg->paths = &d->paths;
	return path_check_config(&d->paths, d->cfg, err);
}

/* The variables of the guest's firmware. */
static int open_flash(struct domain *d, struct err *err)
{
	_cleanup_free_ char *path = firmware_nvram_path(d->cfg);
	_cleanup_firmware_ struct firmware fw = { 0 };
	int r = firmware_find(d->cfg, &fw, err);

	if (r < 0)
		return r;
	struct devs_flash_cfg c = { .path = path,
		                    .template = fw.template,
		                    .bytes = fw.vars_bytes,
		                    .uuid = d->cfg->uuid,
		                    .paths = d->cfg->paths };
	return devs_flash(d->devs, &c, err);
}

/* Everything that needs the host's privileges, then everything that must not have them. */
static int set_up(struct domain *d, struct err *err)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	struct devs_events ev = { .broken = domain_broken,
		                  .quiet = domain_quiet,
		                  .silent = domain_silent,
		                  .disk_error = domain_disk_error,
		                  .disk_room = domain_disk_room,
		                  .arg = d };
	int r;

	r = dom_config_limits(d->cfg, err);
	if (!r && geteuid() == 0) /* another user opens what it may anyway */
		r = bound_paths(d, err);
	if (!r)
		r = d->ops->probe(d->cfg, err);
	if (!r && !d->incoming)
		r = d->ops->pin(d->cfg, d->cpu_baseline, err);
	if (!r)
		r = claim_name(d, err);
	if (!r)
		r = register_self(d, err);
	if (!r)
		r = deadline_page_of(d->cfg->name, &d->deadline, err);
	ev.deadline = d->deadline;
	if (!r)
		r = display_listen(d->cfg, d->run_dir, &d->display, err);
	if (!r)
		r = limit_resources(d, err);
	if (!r)
		r = devs_new(d->cfg, d->ops->transport, &ev, &d->devs, err);
	if (!r && d->cfg->fw.efi)
		r = open_flash(d, err);
	uid_t uid = geteuid() == 0 ? domain_uid(d) : getuid();
	if (!r)
		r = leases_open(&d->leases, d->cfg, uid, err);
	if (r < 0)
		return r;
	d->leases.deadline = d->deadline;
	struct boundlog boot_log;
	open_boot_log(d, &boot_log);
	d->con = conlog_new(d->loop, boot_log, on_input, d);
	d->slow = slow_new(d->loop);
	if (!d->con || !d->slow)
		return err_set(err, ENOMEM, "out of memory");
	_cleanup_free_ char *sock = dompath_sock(d->cfg->name);
	_cleanup_close_ int listen_fd = hvserver_listen(sock, err);
	if (listen_fd < 0)
		return listen_fd;
	r = loop_add_signals(d->loop, sigs, on_signal, d);
	if (r < 0)
		return err_sys(err, -r, "cannot watch signals");
	signal(SIGPIPE, SIG_IGN);
	/* while root: what QEMU answered before is root's to read (qasked.h), and starting it to ask again takes longer than all else here */
	r = d->ops->identity(d->cfg, d->identity, err);
	if (!r)
		r = drop_privileges(d, err);
	if (!r && d->incoming)
		r = dommem_new(d, err);
	d->env.devs = d->devs;
	d->env.identity = d->identity;
	if (!r)
		r = d->ops->open(&d->env, &d->vm, err);
	if (!r)
		r = devs_start(d->devs, err);
	if (!r)
		r = display_start(d->display, d->loop, domain_screen_client, d, err);
	if (r < 0)
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
	/* storage that does not answer keeps no domain's end waiting: what is not yet written by then is not */
	signal(SIGALRM, SIG_DFL);
	alarm(END_S);
	if (d->vm)
		d->ops->kill(d->vm);
	if (d->owner && !(d->slow && slow_busy(d->slow))) {
		struct lease_record rec = { .generation = d->generation, .state = LEASE_STOPPED };
		struct err e;
		snprintf(rec.owner, sizeof(rec.owner), "%s", d->host);
		if (d->devs && devs_settle(d->devs, SETTLE_NS, &e) < 0)
			log_warn("what the guest had not flushed is lost: %s", e.text);
		if (devs_flash_sync(d->devs, &e) < 0)
			log_error("%s", e.text);
		if (leases_write(&d->leases, &rec, &e) < 0)
			log_error("%s", e.text);
	}
	display_free(d->display);
	hvserver_free(d->server);
	if (d->vm)
		d->ops->close(d->vm);
	if (d->slow && slow_busy(d->slow)) {
		log_error("domain '%s' ends while its storage does not answer", d->cfg->name);
		_exit(1);
	}
	domain_plug_done(d);
	slow_free(d->slow);
	devs_free(d->devs);
	leases_done(&d->leases);
	deadline_page_free(d->deadline);
	conlog_free(d->con);
	dommem_done(d);
	cgroup_done(&d->cgroup);
	loop_del_timer(d->throttle_timer);
	loop_del_timer(d->destroy_timer);
	loop_del_timer(d->announce_timer);
	loop_del_timer(d->thaw_timer);
	loop_del_timer(d->incoming_timer);
	loop_del_timer(d->disk_timer);
	loop_del_timer(d->boot_timer);
	/* the lock file stays: removing it would let two processes lock two files of one name */
	if (d->lock_fd >= 0) {
		rundir_mark_ended(d->lock_fd);
		close(d->lock_fd);
	}
	free(d->run_dir);
	if (d->ready_fd >= 0)
		close(d->ready_fd);
	loop_free(d->loop);
	dom_config_free(d->cfg);
	path_rules_done(&d->paths);
}

int main(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "ready-fd", required_argument, NULL, 'r' },
		{ "incoming", no_argument, NULL, 'i' },
		{ "generation", required_argument, NULL, 'g' },
		{ "local", no_argument, NULL, 'L' },
		{ "cpu-baseline", required_argument, NULL, 'B' },
		{ "force", no_argument, NULL, 'F' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "engines", no_argument, NULL, 'e' },
		{ "check", required_argument, NULL, 'C' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static struct domain d = { .mem.fd = -1,
		                   .bitmap_fd = -1,
		                   .ready_fd = -1,
		                   .lock_fd = -1,
		                   .cgroup = { .janitor = -1, .left_dir = -1 } };
	enum log_level level = LOG_LEVEL_INFO;
	const char *config = NULL, *check = NULL;
	struct err err = { 0 };
	int o;

	memset(d.cpu_baseline, 0xff, sizeof(d.cpu_baseline));
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
			if (log_level_parse(optarg, &level) < 0) {
				fprintf(stderr, "hvdom: unknown log level '%s'\n", optarg);
				return 2;
			}
			break;
		case 'B':
			if (cpu_bits_parse(optarg, d.cpu_baseline) < 0) {
				fprintf(stderr, "hvdom: '%s' is no set of CPU features\n", optarg);
				return 2;
			}
			break;
		case 'F':
			d.force = true;
			break;
		case 'L':
			d.local = true;
			break;
		case 'e':
			return check_engines();
		case 'C':
			check = optarg;
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
	if (!(config || check) || optind < argc) {
		usage(stderr);
		return 2;
	}
	if (check)
		return check_domain(check, d.local);
	log_init("hvdom", level);
	int r = dom_config_load(config, &d.cfg, &err);
	if (r < 0) {
		log_error("%s", err.text);
		domain_tell_ready(&d, &err);
		return 1;
	}
	d.loop = loop_new();
	d.ops = hv_engine_for(d.cfg)->ops;
	host_name(d.host, sizeof(d.host));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	d.env = (struct hv_engine_env){ .loop = d.loop,
		                        .cfg = d.cfg,
		                        .mem = &d.mem,
		                        .arg = &d,
		                        .ready = domain_ready,
		                        .exited = domain_exited,
		                        .watchdog = domain_watchdog,
		                        .unplugged = domain_unplugged,
		                        .output = on_output,
		                        .process = on_process,
		                        .cpu = (int)(uuid_hash(d.cfg->uuid) % (uint32_t)(cpus > 0 ? cpus : 1)) };
	for (size_t i = 0; i < d.cfg->n_unknown; i++)
		log_info("%s: <%s> is kept but not used", config, d.cfg->unknown[i]);
	for (size_t i = 0; i < d.cfg->n_notes; i++)
		log_info("%s: %s", config, d.cfg->note[i]);
	d.state = d.incoming ? HV_DOM_INCOMING : HV_DOM_BOOTING;
	r = d.loop ? 0 : err_set(&err, ENOMEM, "out of memory");
	if (!r)
		r = set_up(&d, &err);
	if (!r)
		log_async();
	if (!r && !d.incoming)
		r = domain_boot(&d, &err);
	if (r < 0) {
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
