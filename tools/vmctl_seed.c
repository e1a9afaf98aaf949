/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmctl seed: the disk from which cloud-init in a guest takes its configuration (data source NoCloud): an ISO 9660 image with the label
 * CIDATA and the files user-data, meta-data and network-config, beside the domain's first image. xorrisofs makes it.
 */
#include "config.h"
#include "tools/vmctl_int.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/util.h"

#define PART_BYTES_MAX (1u << 20)
#define SEED_BYTES_MAX (16u << 20)
#define TOOL           "xorrisofs"

extern char **environ;

enum { USER_DATA, META_DATA, NETWORK_CONFIG, ATTACH }; /* options */

static const char *const part_name[] = { "user-data", "meta-data", "network-config" };

/* Owned. */
static char *seed_path(const struct dom_config *cfg)
{
	for (size_t i = 0; i < cfg->n_disks; i++) {
		const struct dom_disk *k = &cfg->disk[i];
		if (k->type == DOM_DISK_FILE && !k->readonly)
			return xasprintf("%.*s/%s-seed.iso", (int)(strrchr(k->source, '/') - k->source), k->source,
			                 cfg->name);
	}
	return xasprintf("%s/images/%s-seed.iso", path_state(), cfg->name);
}

/* Owned: the file's octets, or what stands for a file that was not given; NULL in *@ret: no such part. */
static int read_part(const struct cli *v, const struct dom_config *cfg, int part, char **ret, size_t *len,
                     struct err *err)
{
	const char *file = v->value[part];

	*ret = NULL;
	if (!file) {
		if (part == META_DATA)
			*ret = xasprintf("instance-id: %s\nlocal-hostname: %s\n", cfg->uuid, cfg->name);
		*len = *ret ? strlen(*ret) : 0;
		return 0;
	}
	int r = file_read(strcmp(file, "-") ? file : "/dev/stdin", PART_BYTES_MAX, ret, len);
	if (r == -EFBIG)
		return err_set(err, EFBIG, "%s is larger than %u octets (1 MiB)", file, PART_BYTES_MAX);
	return r < 0 ? err_sys(err, -r, "read %s", file) : 0;
}

/* cloud-init tells what it gets from the first line, and ignores the rest without a word to us. */
static void look_at_user_data(const char *text)
{
	static const char *const begins[] = { "#cloud-config", "#!",           "#include",      "#cloud-boothook",
		                              "#part-handler", "## template:", "Content-Type:", "MIME-Version:",
		                              "\x1f\x8b" };

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (!strncmp(text, begins[i], strlen(begins[i])))
			return;
	fprintf(stderr,
	        "vmctl: warning: cloud-init ignores user data that does not begin with #cloud-config, #! or the like\n");
}

static int write_parts(const struct cli *v, const struct dom_config *cfg, const char *dir, struct err *err)
{
	for (int i = USER_DATA; i <= NETWORK_CONFIG; i++) {
		_cleanup_free_ char *text = NULL, *to = xasprintf("%s/in/%s", dir, part_name[i]);
		size_t len = 0;
		int r = read_part(v, cfg, i, &text, &len, err);

		if (!r && i == USER_DATA)
			look_at_user_data(text);
		if (!r && text) {
			r = file_write_atomic(to, text, len, 0600);
			if (r < 0)
				err_sys(err, -r, "write %s", to);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* It greets on its standard error, so what it says is shown only when it fails. */
static int failed(const char *said_path, struct err *err)
{
	_cleanup_free_ char *said = NULL;

	if (file_read(said_path, 65536, &said, NULL) == 0)
		fputs(said, stderr);
	return err_set(err, EIO, "%s made no image; what it said stands above", TOOL);
}

static int make_image(const char *dir, const char *out, struct err *err)
{
	_cleanup_free_ char *in = xasprintf("%s/in", dir), *said = xasprintf("%s/said", dir);
	char *argv[] = { (char *)TOOL,
		         (char *)"-quiet",
		         (char *)"-o",
		         (char *)(uintptr_t)out,
		         (char *)"-V",
		         (char *)"CIDATA",
		         (char *)"-joliet",
		         (char *)"-rock",
		         in,
		         NULL };
	posix_spawn_file_actions_t fa;
	int status, r;
	pid_t pid;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 1, said, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_addopen(&fa, 2, said, O_WRONLY | O_CREAT | O_APPEND, 0600);
	r = posix_spawnp(&pid, TOOL, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (r == ENOENT)
		return err_set(err, ENOENT, "%s is missing, which makes the image: install the package xorriso", TOOL);
	if (r)
		return err_sys(err, r, "execute %s", TOOL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "wait for %s", TOOL);
	return status ? failed(said, err) : 0;
}

static void remove_parts(const char *dir)
{
	for (size_t i = 0; i < ARRAY_SIZE(part_name); i++) {
		_cleanup_free_ char *p = xasprintf("%s/in/%s", dir, part_name[i]);
		unlink(p);
	}
	_cleanup_free_ char *in = xasprintf("%s/in", dir), *iso = xasprintf("%s/iso", dir),
			    *said = xasprintf("%s/said", dir);
	rmdir(in);
	unlink(iso);
	unlink(said);
	rmdir(dir);
}

/* The parts and the unfinished image lie where only we can read them: they may have passwords. */
static int make_seed(const struct cli *v, const struct dom_config *cfg, const char *path, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	_cleanup_free_ char *dir = xasprintf("%s/vmctl-seed.XXXXXX", tmp && *tmp ? tmp : "/tmp"), *octets = NULL;
	size_t len;

	if (!mkdtemp(dir))
		return err_sys(err, errno, "make a directory %s", dir);
	_cleanup_free_ char *in = xasprintf("%s/in", dir), *iso = xasprintf("%s/iso", dir);
	int r = mkdir(in, 0700) < 0 ? err_sys(err, errno, "make a directory %s", in) : 0;
	if (!r)
		r = write_parts(v, cfg, dir, err);
	if (!r)
		r = make_image(dir, iso, err);
	if (!r) {
		r = file_read(iso, SEED_BYTES_MAX, &octets, &len);
		if (!r)
			r = file_write_atomic(path, octets, len, 0600);
		if (r < 0)
			err_sys(err, -r, "write %s", path);
	}
	remove_parts(dir);
	return r;
}

/* The first name vdX that no disk has; in @ret. */
static int free_target(const struct dom_config *cfg, char ret[16], struct err *err)
{
	for (char c = 'a'; c <= 'z'; c++) {
		bool taken = false;

		snprintf(ret, 16, "vd%c", c);
		for (size_t i = 0; i < cfg->n_disks; i++)
			taken |= !strcmp(cfg->disk[i].target, ret);
		if (!taken && cfg->n_disks < DOM_DISKS_MAX)
			return 0;
	}
	return err_set(err, E2BIG, "domain '%s' has %d disks already, and may have no more", cfg->name, DOM_DISKS_MAX);
}

static const struct dom_disk *attached(const struct dom_config *cfg, const char *path)
{
	for (size_t i = 0; i < cfg->n_disks; i++)
		if (!strcmp(cfg->disk[i].source, path))
			return &cfg->disk[i];
	return NULL;
}

static int attach(struct dom_config *cfg, const char *definition, const char *path, const char *target, struct err *err)
{
	struct dom_disk *k = &cfg->disk[cfg->n_disks++];
	_cleanup_free_ char *xml = NULL;

	*k = (struct dom_disk){ .type = DOM_DISK_FILE, .readonly = true, .source = strdup(path) };
	snprintf(k->target, sizeof(k->target), "%s", target);
	int r = k->source ? dom_config_format(cfg, &xml, err) : err_sys(err, ENOMEM, "change the definition");
	if (r < 0)
		return r;
	r = file_write_atomic(definition, xml, strlen(xml), 0600);
	return r < 0 ? err_sys(err, -r, "write %s", definition) : 0;
}

int vmctl_seed(struct cli *v, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_free_ char *definition = NULL, *path = NULL;
	char target[16] = "";
	int r = vmhost_definition_path(v->arg[0], &definition, err);

	if (!v->value[USER_DATA])
		return err_set(err, CLI_EUSAGE, "--user-data FILE is missing: what cloud-init is to do");
	if (!r)
		r = dom_config_load(definition, &cfg, err);
	if (r == -ENOENT)
		return err_set(err, ENOENT, "no definition of domain '%s'; vmctl list --all shows those that there are",
		               v->arg[0]);
	if (r < 0)
		return r;
	path = seed_path(cfg);
	const struct dom_disk *k = attached(cfg, path);
	if (!k && (r = free_target(cfg, target, err)) < 0)
		return r;
	r = make_seed(v, cfg, path, err);
	if (!r && !k && cli_opt(v, ATTACH))
		r = attach(cfg, definition, path, target, err);
	if (r < 0)
		return r;
	printf("Seed for domain '%s' written to %s\n", cfg->name, path);
	if (k)
		printf("It is disk %s of the definition\n", k->target);
	else if (cli_opt(v, ATTACH))
		printf("It is disk %s from the next start on\n", target);
	else
		printf("Add it to <devices> of the definition, or use --attach:\n"
		       "<disk type='file' device='disk'>\n"
		       "  <driver name='qemu' type='raw'/>\n"
		       "  <source file='%s'/>\n"
		       "  <target dev='%s' bus='virtio'/>\n"
		       "  <readonly/>\n"
		       "</disk>\n",
		       path, target);
	return 0;
}
