/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmctl create: a domain from an image, in one command: its disk (a full copy: see ADR 94), the seed for cloud-init, its definition, its
 * start; here, or in the cluster. The definition is what makes it count: what was made before is removed if it does not come to that, by
 * this program or, if that was killed, by the next one.
 */
#include "config.h"
#include "tools/vmctl_create.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "clusterd/guard/managed.h"
#include "common/util.h"
#include "hypervisor/api/pathconf.h"
#include "tools/vmctl_int.h"
#include "tools/vmctl_tool.h"

#define DISK_BYTES   (8ull << 30)
#define MEMORY_BYTES (512ull << 20)
#define SPARE_BYTES  (64ull << 20) /* left free on a file system */
#define NOTE_CLUSTER "cluster"

/* Options. */
enum {
	IMAGE,
	MEMORY,
	DISK,
	VCPUS,
	BRIDGE,
	SSH_KEY,
	USER,
	USER_DATA,
	NO_SEED,
	ADDRESS,
	GATEWAY,
	DNS,
	ENGINE,
	DIR_,
	CLUSTER,
	NO_START,
	WAIT,
	PRINT_XML
};

/* What has been made, and what is to be undone. */
struct making {
	struct create c;
	struct made made;
	bool defined, whole, started;
};

static int size_of(const struct cli *v, unsigned option, uint64_t *ret, struct err *err)
{
	if (!v->value[option])
		return 0;
	if (size_parse(v->value[option], ret) < 0 || !*ret || *ret > INT64_MAX)
		return err_set(err, CLI_EUSAGE, "--%s %s: a size like 1GiB", v->cmd->option[option].name,
		               v->value[option]);
	return 0;
}

/* Which do not go together, or are not what they should be. */
static int check_options(const struct cli *v, const struct create *c, struct err *err)
{
	unsigned char octets[16];

	if (!v->value[IMAGE])
		return err_set(err, CLI_EUSAGE, "--image NAME is missing; vmctl image list shows those that there are");
	if (!name_is_valid(c->name))
		return err_set(err, EINVAL, "\"%s\" is no name for a domain: 1 to 63 letters, digits, . _ + -",
		               c->name);
	if (c->ssh_key && c->user_data)
		return err_set(err, CLI_EUSAGE, "--ssh-key and --user-data: one of them says what cloud-init is to do");
	if (!c->seed && (c->ssh_key || c->user_data || c->address))
		return err_set(err, CLI_EUSAGE, "--no-seed: then nobody tells the guest of keys or addresses");
	if (c->seed && !c->ssh_key && !c->user_data && !cli_opt(v, PRINT_XML))
		return err_set(
			err, CLI_EUSAGE,
			"--ssh-key FILE is missing: nobody could log in. Or --user-data FILE, or --no-seed for an "
			"image that is set up already");
	if (c->address && (!c->bridge || !create_address_is_valid(c->address, NULL)))
		return err_set(err, CLI_EUSAGE, "--address ADDRESS/BITS, for the interface on --bridge");
	if ((c->gateway || c->dns) && !c->address)
		return err_set(err, CLI_EUSAGE, "--gateway and --dns go with --address; without it DHCP says them");
	for (int i = 0; i < 2; i++) {
		const char *ip = i ? c->dns : c->gateway;

		if (ip && inet_pton(AF_INET, ip, octets) != 1 && inet_pton(AF_INET6, ip, octets) != 1)
			return err_set(err, CLI_EUSAGE, "\"%s\" is no address", ip);
	}
	if (v->value[WAIT] && (!c->bridge || cli_opt(v, NO_START)))
		return err_set(err, CLI_EUSAGE,
		               "--wait asks the guest's SSH server, once it is started: it goes with --bridge, and not "
		               "with --no-start");
	return 0;
}

static int read_options(const struct cli *v, struct create *c, struct err *err)
{
	double vcpus = 0;
	int r = 0;

	*c = (struct create){ .name = v->arg[0],
		              .bridge = v->value[BRIDGE],
		              .user = v->value[USER] ?: "debian",
		              .ssh_key = v->value[SSH_KEY],
		              .user_data = v->value[USER_DATA],
		              .address = v->value[ADDRESS],
		              .gateway = v->value[GATEWAY],
		              .dns = v->value[DNS],
		              .seed = !cli_opt(v, NO_SEED),
		              .cluster = cli_opt(v, CLUSTER),
		              .memory_bytes = MEMORY_BYTES };
	r = check_options(v, c, err);
	if (!r)
		r = size_of(v, MEMORY, &c->memory_bytes, err);
	if (!r)
		r = size_of(v, DISK, &c->disk_bytes, err);
	if (!r)
		r = cli_opt_number(v, VCPUS, 1, 255, &vcpus, err);
	if (!r)
		r = vmimage_load(v->value[IMAGE], &c->image, err);
	if (r < 0)
		return r;
	bool pv = !strcmp(c->image.engine, "pv");
	c->engine = v->value[ENGINE] ?: c->image.engine;
	if (strcmp(c->engine, c->image.engine) != 0 && (pv || strcmp(c->engine, "kvm") != 0))
		return err_set(err, EINVAL, "image '%s' is for engine %s", c->image.name, pv ? "pv" : "qemu or kvm");
	c->vcpus = vcpus >= 1 ? (unsigned)vcpus : pv ? 1 : 2;
	if (!c->disk_bytes)
		c->disk_bytes = c->image.disk_bytes > DISK_BYTES ? c->image.disk_bytes : DISK_BYTES;
	c->disk_bytes = c->disk_bytes / 512 * 512;
	if (c->disk_bytes < c->image.disk_bytes)
		return err_set(err, EINVAL, "image '%s' needs a disk of %llu MiB at least", c->image.name,
		               (unsigned long long)((c->image.disk_bytes + (1 << 20) - 1) >> 20));
	if (v->value[DIR_])
		c->dir = strdup(v->value[DIR_]);
	else
		c->dir = xasprintf("%s/%s", path_state(), c->cluster ? "shared" : "images");
	if (!c->dir)
		return err_sys(err, ENOMEM, "create");
	for (const char *p = c->dir; *p; p++)
		if ((unsigned char)*p < ' ')
			return err_set(err, EINVAL, "--dir: a path without control characters");
	return c->dir[0] == '/' ? 0 : err_set(err, CLI_EUSAGE, "--dir: an absolute path");
}

/* --- what has to be there */

static int check_name(const struct create *c, struct err *err)
{
	struct vmhost_dom d;
	int r = vmhost_find(&d, c->name, NULL);

	if (!r) {
		vmhost_dom_done(&d);
		return err_set(err, EEXIST, "there is a domain '%s' already; vmctl list --all shows those of this host",
		               c->name);
	}
	if (managed_listed(c->name, NULL))
		return err_set(err, EEXIST, "there is a domain '%s' of the cluster already", c->name);
	r = c->cluster ? create_cluster_has(c->name, err) : 0;
	if (r > 0)
		return err_set(err, EEXIST, "the cluster has a domain '%s' already; vmclus status shows them", c->name);
	return r;
}

static int check_bridge(const char *bridge, struct err *err)
{
	_cleanup_free_ char *path = bridge ? xasprintf("/sys/class/net/%s/bridge", bridge) : NULL;

	if (!bridge || (!strchr(bridge, '/') && !access(path, F_OK)))
		return 0;
	return err_set(err, ENODEV,
	               "this host has no bridge '%s': ip link add %s type bridge && ip link set %s up, or name another",
	               bridge, bridge, bridge);
}

static int check_memory(const struct create *c, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	const char *p = file_read("/proc/meminfo", 65536, &text, NULL) < 0 ? NULL : strstr(text, "MemAvailable:");
	uint64_t there = p ? strtoull(p + 13, NULL, 10) << 10 : 0;
	char want[32], is[32];

	if (!there || c->memory_bytes <= there)
		return 0;
	return err_set(err, ENOMEM,
	               "this host has %s of memory left, and the domain is to have %s: less --memory, or --no-start",
	               size_format(there, is, sizeof(is)), size_format(c->memory_bytes, want, sizeof(want)));
}

static int check_space(const struct create *c, struct err *err)
{
	struct statvfs v;
	struct stat st;
	char want[32], is[32];

	if (statvfs(c->dir, &v) < 0 || stat(c->image.disk_path, &st) < 0)
		return err_sys(err, errno, "%s", c->dir);
	uint64_t there = (uint64_t)v.f_bavail * v.f_frsize, need = (uint64_t)st.st_blocks * 512 + SPARE_BYTES;
	if (need > there)
		return err_set(err, ENOSPC,
		               "%s has %s free, and the disk needs %s at once: another --dir, or make room", c->dir,
		               size_format(there, is, sizeof(is)), size_format(need, want, sizeof(want)));
	if (c->disk_bytes > there)
		fprintf(stderr, "vmctl: note: the disk can grow to %s, and %s has %s free\n",
		        size_format(c->disk_bytes, want, sizeof(want)), c->dir, size_format(there, is, sizeof(is)));
	return 0;
}

static int check_dir(const struct create *c, const struct dom_config *cfg, struct err *err)
{
	struct path_rules rules;
	struct stat st;
	int r = path_rules_load(&rules, err);

	if (r < 0)
		return r;
	if (c->cluster || !rules.local_any)
		r = path_check_config(&rules, cfg, err);
	path_rules_done(&rules);
	if (r < 0 || !c->cluster)
		return r;
	if (stat(c->dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ENOENT,
		               "a domain of the cluster needs storage that all its hosts share, and %s is not there: "
		               "mount it there on each host, or name another by --dir",
		               c->dir);
	create_cluster_look_at_dir(c->dir);
	return 0;
}

/* What a create left that was killed: its domain counts if it came to be defined. */
static enum made_fate left_behind(void *arg, const char *name, const char *note)
{
	int r = vmhost_is_defined(name);

	(void)arg;
	if (!r && !strcmp(note, NOTE_CLUSTER))
		r = create_cluster_has(name, NULL);
	return r > 0 ? MADE_WHOLE : r < 0 ? MADE_LEAVE : MADE_REMOVE;
}

/* --- the making */

static int grow_disk(const struct create *c, const char *path, struct err *err)
{
	_cleanup_free_ char *size = xasprintf("%llu", (unsigned long long)c->disk_bytes);
	const char *argv[] = { "qemu-img", "resize", "-q", "-f", "qcow2", path, size, NULL };
	struct tool t = { .argv = (char **)(uintptr_t)argv, .package = "qemu-utils", .doing = "make the disk larger" };

	if (c->disk_bytes == c->image.disk_bytes)
		return 0;
	if (c->image.format == DOM_FORMAT_QCOW2)
		return vmctl_tool(&t, err);
	return truncate(path, (off_t)c->disk_bytes) < 0 ? err_sys(err, errno, "make %s larger", path) : 0;
}

/* The copy is checked: an image that rots makes no domains. */
static int copy_checked(const char *from, const char *to, mode_t mode, const char *sum, struct err *err)
{
	char is[SHA256_TEXT];
	int r = file_copy(from, to, mode, "copying", &vmctl_while, is, err);

	if (!r && strcasecmp(is, sum) != 0)
		r = err_set(err, EBADMSG, "%s is not what it was when the image was made: its SHA-256 is %s", from, is);
	return r;
}

static int make_files(const struct create *c, const struct dom_config *cfg, struct err *err)
{
	_cleanup_free_ char *lib = vmimage_dir(), *disk = create_disk_path(c), *initrd = create_initrd_path(c),
			    *seed = create_seed_path(c);
	_cleanup_close_ int use = made_use(lib, c->image.name, err);
	_cleanup_seed_parts_ struct seed_parts parts = { 0 };
	int r = use < 0 ? use : c->seed ? create_seed_parts(c, cfg, &parts, err) : 0;

	if (!r && c->seed)
		r = seed_make(&parts, seed, err);
	if (!r && c->image.initrd_path && !strcmp(c->engine, "pv")) /* which the domain's own user reads */
		r = copy_checked(c->image.initrd_path, initrd, 0644, c->image.initrd, err);
	if (!r)
		r = copy_checked(c->image.disk_path, disk, 0600, c->image.sha256, err);
	if (!r)
		r = grow_disk(c, disk, err);
	return r;
}

static int start(struct making *m, struct err *err)
{
	struct hvlaunch l = { .name = m->c.name, .local = true };
	int r;

	m->started = true; /* and if it fails, who knows how far it came */
	r = m->c.cluster ? create_cluster_start(m->c.name, err) : vmhost_start(&l, &vmctl_while, err);
	return r;
}

/* Defined: from here on it counts. Its maker's mark goes, too, before a process of the guest could inherit its lock. */
static int define(struct making *m, struct dom_config *cfg, struct err *err)
{
	int r = m->c.cluster ? create_cluster_define(cfg, err) : vmhost_define(cfg, err);

	if (r < 0)
		return r;
	m->defined = true;
	r = made_finish(&m->made, err);
	m->whole = !r;
	return r;
}

/* In the reverse order. What cannot be undone is said. */
static void undo(struct making *m)
{
	struct err why = { 0 };
	pid_t killed;
	int r = 0;

	vmctl_default_signals(); /* a second Ctrl-C ends it at once */
	vmctl_stopped = 0;
	if (m->defined && m->c.cluster) {
		r = create_cluster_undo(m->c.name, &why);
	} else if (m->defined) {
		if (m->started && vmhost_is_running(m->c.name))
			r = vmhost_destroy(m->c.name, NULL, &killed, &why);
		if (!r)
			r = vmhost_undefine(m->c.name, &why);
	}
	if (!r && m->whole)
		r = made_remove(m->c.dir, m->c.name, &why);
	else if (!r)
		made_undo(&m->made);
	if (r < 0)
		fprintf(stderr, "vmctl: what was made of domain '%s' could not be removed: %s\n", m->c.name, why.text);
}

static int make(struct making *m, struct dom_config *cfg, bool to_start, struct err *err)
{
	struct create *c = &m->c;
	int r = check_name(c, err);

	if (!r && !c->cluster)
		r = check_bridge(c->bridge, err);
	if (!r && to_start && !c->cluster)
		r = check_memory(c, err);
	if (!r)
		r = check_dir(c, cfg, err);
	if (!r && !c->cluster && mkdir_p(c->dir, 0755) < 0)
		r = err_sys(err, errno, "make the directory %s", c->dir);
	if (!r)
		r = check_space(c, err);
	if (r < 0)
		return r;
	made_sweep(c->dir, left_behind, NULL);
	r = made_begin(c->dir, c->name, c->cluster ? NOTE_CLUSTER : "", &m->made, err);
	if (r == -EEXIST)
		return err_set(err, EEXIST,
		               "%s/%s is there already, perhaps of an earlier domain: remove it, or use another --dir",
		               c->dir, c->name);
	if (!r)
		r = make_files(c, cfg, err);
	if (!r)
		r = define(m, cfg, err);
	if (!r && to_start)
		r = start(m, err);
	if (r < 0)
		undo(m);
	return r;
}

static int print_xml(const struct dom_config *cfg, struct err *err)
{
	_cleanup_free_ char *xml = NULL;
	int r = dom_config_format(cfg, &xml, err);

	if (!r)
		fputs(xml, stdout);
	return r;
}

/* What a person does next. */
static void say(const struct create *c, bool started)
{
	char ip[INET6_ADDRSTRLEN];

	printf("Domain '%s' %s\n", c->name,
	       started      ? "is made and started"
	       : c->cluster ? "is made; vmclus start starts it"
	                    : "is made; vmctl start starts it");
	if (c->ssh_key && c->address && create_address_is_valid(c->address, ip))
		printf("ssh %s@%s\n", c->user, ip);
}

int vmctl_create(struct cli *v, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	struct making m = { 0 };
	bool to_start = !cli_opt(v, NO_START);
	char ip[INET6_ADDRSTRLEN];
	double wait_s = 0;
	int r = cli_opt_number(v, WAIT, 1, 86400, &wait_s, err);

	if (!r)
		r = read_options(v, &m.c, err);
	if (!r)
		r = create_config(&m.c, &cfg, err);
	if (!r && wait_s > 0 && !m.c.address && !cfg->guest_agent)
		r = err_set(
			err, CLI_EUSAGE,
			"--wait asks the guest's own agent for the address that DHCP gave it, and guests of engine %s have "
			"none: say --address",
			m.c.engine);
	if (!r && cli_opt(v, PRINT_XML)) {
		r = print_xml(cfg, err);
	} else if (!r) {
		vmctl_catch_signals();
		r = make(&m, cfg, to_start, err);
		if (!r) {
			say(&m.c, to_start);
			fflush(stdout);
		}
		if (!m.c.address || !create_address_is_valid(m.c.address, ip))
			ip[0] = 0;
		if (!r && wait_s > 0)
			r = create_wait_ssh(&m.c, ip, wait_s, err);
		if (!r && wait_s > 0 && !m.c.address && m.c.ssh_key)
			printf("ssh %s@%s\n", m.c.user, ip);
		vmctl_default_signals();
	}
	vmimage_done(&m.c.image);
	free(m.c.dir);
	return r;
}
