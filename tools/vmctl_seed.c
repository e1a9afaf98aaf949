/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmctl seed: the disk from which cloud-init in a guest takes its configuration (data source NoCloud): an ISO 9660 image with the label
 * CIDATA and the files user-data, meta-data and network-config, beside the domain's first image. xorrisofs makes it.
 */
#include "config.h"
#include "tools/vmctl_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/util.h"
#include "tools/vmctl_seed.h"
#include "tools/vmctl_tool.h"

#define PART_BYTES_MAX (1u << 20)
#define SEED_BYTES_MAX (16u << 20)
#define TOOL           "xorrisofs"

enum { ATTACH = SEED_PARTS }; /* options: the parts, in their order, and this one */

static const char *const part_name[SEED_PARTS] = { "user-data", "meta-data", "network-config" };

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

int seed_read_part(const char *file, struct seed_part *ret, struct err *err)
{
	int r = file_read(strcmp(file, "-") ? file : "/dev/stdin", PART_BYTES_MAX, &ret->text, &ret->len);

	if (r == -EFBIG)
		return err_set(err, EFBIG, "%s is larger than %u octets (1 MiB)", file, PART_BYTES_MAX);
	if (r < 0)
		return err_sys(err, -r, "read %s", file);
	return 0;
}

/* cloud-init tells what it gets from the first line, and ignores the rest without a word to us. */
void seed_look_at_user_data(const char *text)
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

void seed_meta_data(const struct dom_config *cfg, struct seed_part *ret)
{
	ret->text = xasprintf("instance-id: %s\nlocal-hostname: %s\n", cfg->uuid, cfg->name);
	ret->len = strlen(ret->text);
}

void seed_parts_done(struct seed_parts *p)
{
	for (size_t i = 0; i < SEED_PARTS; i++)
		free(p->part[i].text);
	*p = (struct seed_parts){ 0 };
}

/* From the options. */
static int read_parts(const struct cli *v, const struct dom_config *cfg, struct seed_parts *ret, struct err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < SEED_PARTS; i++)
		if (v->value[i])
			r = seed_read_part(v->value[i], &ret->part[i], err);
	if (!r && !ret->part[SEED_META_DATA].text)
		seed_meta_data(cfg, &ret->part[SEED_META_DATA]);
	if (!r)
		seed_look_at_user_data(ret->part[SEED_USER_DATA].text);
	return r;
}

static int write_parts(const struct seed_parts *p, const char *dir, struct err *err)
{
	for (size_t i = 0; i < SEED_PARTS; i++) {
		_cleanup_free_ char *to = xasprintf("%s/in/%s", dir, part_name[i]);
		int r = p->part[i].text ? file_write_atomic(to, p->part[i].text, p->part[i].len, 0600) : 0;

		if (r < 0)
			return err_sys(err, -r, "write %s", to);
	}
	return 0;
}

static int make_image(const char *dir, const char *out, struct err *err)
{
	_cleanup_free_ char *in = xasprintf("%s/in", dir);
	const char *argv[] = { TOOL, "-quiet", "-o", out, "-V", "CIDATA", "-joliet", "-rock", in, NULL };
	struct tool t = { .argv = (char **)(uintptr_t)argv, .package = "xorriso", .doing = "make the seed" };

	return vmctl_tool(&t, err);
}

static void remove_parts(const char *dir)
{
	for (size_t i = 0; i < ARRAY_SIZE(part_name); i++) {
		_cleanup_free_ char *p = xasprintf("%s/in/%s", dir, part_name[i]);
		unlink(p);
	}
	_cleanup_free_ char *in = xasprintf("%s/in", dir), *iso = xasprintf("%s/iso", dir);
	rmdir(in);
	unlink(iso);
	rmdir(dir);
}

/* The parts and the unfinished image lie where only we can read them: they may have passwords. */
int seed_make(const struct seed_parts *p, const char *path, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	_cleanup_free_ char *dir = xasprintf("%s/vmctl-seed.XXXXXX", tmp && *tmp ? tmp : "/tmp"), *octets = NULL;
	size_t len;

	if (!mkdtemp(dir))
		return err_sys(err, errno, "make a directory %s", dir);
	_cleanup_free_ char *in = xasprintf("%s/in", dir), *iso = xasprintf("%s/iso", dir);
	int r = mkdir(in, 0700) < 0 ? err_sys(err, errno, "make a directory %s", in) : 0;
	if (!r)
		r = write_parts(p, dir, err);
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

static int attach(struct dom_config *cfg, const char *path, const char *target, struct err *err)
{
	struct dom_disk *k = &cfg->disk[cfg->n_disks++];

	*k = (struct dom_disk){ .type = DOM_DISK_FILE, .readonly = true, .source = strdup(path) };
	snprintf(k->target, sizeof(k->target), "%s", target);
	return k->source ? vmhost_define(cfg, err) : err_sys(err, ENOMEM, "change the definition");
}

int vmctl_seed(struct cli *v, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_free_ char *definition = NULL, *path = NULL;
	_cleanup_seed_parts_ struct seed_parts parts = { 0 };
	char target[16] = "";
	int r = vmhost_definition_path(v->arg[0], &definition, err);

	if (!v->value[SEED_USER_DATA])
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
	r = read_parts(v, cfg, &parts, err);
	vmctl_catch_signals();
	if (!r)
		r = seed_make(&parts, path, err);
	vmctl_default_signals();
	if (!r && !k && cli_opt(v, ATTACH))
		r = attach(cfg, path, target, err);
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
