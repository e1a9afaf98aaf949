/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl image: the library of images (vmimage.h). What gets into it is the business of vmctl_imageadd.c. */
#include "config.h"
#include "tools/vmctl_image.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"
#include "tools/vmctl_int.h"
#include "tools/vmimage.h"

enum { NAME, ENGINE, SHA256, INSECURE }; /* options */

static int by_name(const struct dirent *e)
{
	_cleanup_free_ char *lib = vmimage_dir();

	return name_is_valid(e->d_name) && made_is_whole(lib, e->d_name);
}

/* Say one image, as JSON into @all or as a line. One that is broken is said, and not a failure of the list. */
static int list_one(const char *name, json_t *all)
{
	_cleanup_vmimage_ struct vmimage m = { 0 };
	struct err why = { 0 };
	char size[32];

	if (vmimage_load(name, &m, &why) < 0) {
		fprintf(stderr, "vmctl: %s\n", why.text);
		return 0;
	}
	if (all)
		return json_array_append_new(all, vmimage_json(&m)) ? -ENOMEM : 0;
	printf(" %-24s %-7s %-7s %-10s %-21s %s\n", m.name, m.engine, m.format == DOM_FORMAT_QCOW2 ? "qcow2" : "raw",
	       size_format(m.disk_bytes, size, sizeof(size)), m.made, m.from);
	return 0;
}

static int list(struct cli *v, struct err *err)
{
	_cleanup_free_ char *lib = vmimage_dir();
	struct dirent **e = NULL;
	json_t *all = v->json ? json_array() : NULL;
	int n = scandir(lib, &e, by_name, alphasort), r = 0;

	if (n < 0 && errno != ENOENT)
		r = err_sys(err, errno, "read %s", lib);
	if (!v->json && !r)
		printf(" Name                     Engine  Format  Size       Made                  From\n"
		       "--------------------------------------------------------------------------------\n");
	for (int i = 0; i < n; i++) {
		if (!r && list_one(e[i]->d_name, all) < 0)
			r = err_sys(err, ENOMEM, "list images");
		free(e[i]);
	}
	free(e);
	if (r < 0 || !v->json) {
		json_decref(all);
		return r;
	}
	return vmctl_print_json(v, all, err);
}

static int verify(struct cli *v, struct err *err)
{
	_cleanup_free_ char *lib = vmimage_dir();
	_cleanup_vmimage_ struct vmimage m = { 0 };
	int r = vmimage_load(v->arg[1], &m, err);
	_cleanup_close_ int use = r < 0 ? r : made_use(lib, m.name, err);

	if (!r && use < 0)
		r = use;
	if (!r)
		r = vmimage_verify(&m, &vmctl_while, err);
	if (!r && v->json)
		return vmctl_print_json(v, vmimage_json(&m), err);
	if (!r)
		printf("Image '%s' is as it was made (SHA-256 %s)\n", m.name, m.sha256);
	return r;
}

static int remove_image(struct cli *v, struct err *err)
{
	_cleanup_free_ char *lib = vmimage_dir();
	const char *name = v->arg[1];

	if (!name_is_valid(name) || !made_is_whole(lib, name))
		return err_set(err, ENOENT, "there is no image '%s'; vmctl image list shows those that there are",
		               name);
	int r = made_remove(lib, name, err);
	if (!r && v->json)
		return vmctl_print_json(v, json_pack("{s:s, s:b}", "name", name, "removed", 1), err);
	if (!r)
		printf("Image '%s' removed\n", name);
	return r;
}

static int add(struct cli *v, int (*how)(const struct image_add *a, struct err *err), struct err *err)
{
	struct image_add a = { .cli = v,
		               .what = v->arg[1],
		               .name = v->value[NAME],
		               .engine = v->value[ENGINE],
		               .sha256 = v->value[SHA256],
		               .insecure = cli_opt(v, INSECURE) };

	if (a.name && !name_is_valid(a.name))
		return err_set(err, EINVAL, "\"%s\" is no name for an image: 1 to 63 letters, digits, . _ + -", a.name);
	if (a.engine && strcmp(a.engine, "pv") != 0 && strcmp(a.engine, "qemu") != 0)
		return err_set(err, CLI_EUSAGE, "--engine pv (a user-mode kernel) or qemu (a kernel of its own)");
	if (a.sha256 && !sha256_is_valid(a.sha256))
		return err_set(err, CLI_EUSAGE, "--sha256: 64 hexadecimal digits");
	return how(&a, err);
}

int vmctl_image(struct cli *v, struct err *err)
{
	_cleanup_free_ char *lib = vmimage_dir();
	const char *what = v->n_args ? v->arg[0] : "list";
	int r;

	vmctl_catch_signals();
	made_sweep(lib, NULL, NULL); /* what was left by one that was killed */
	if (v->n_args <= 1 && !strcmp(what, "list"))
		r = list(v, err);
	else if (v->n_args == 2 && !strcmp(what, "make"))
		r = add(v, image_make, err);
	else if (v->n_args == 2 && !strcmp(what, "pull"))
		r = add(v, image_pull, err);
	else if (v->n_args == 2 && !strcmp(what, "import"))
		r = add(v, image_import, err);
	else if (v->n_args == 2 && !strcmp(what, "verify"))
		r = verify(v, err);
	else if (v->n_args == 2 && !strcmp(what, "remove"))
		r = remove_image(v, err);
	else
		r = err_set(err, CLI_EUSAGE,
		            "image list, make " IMAGE_RECIPE ", pull URL, import FILE, verify NAME, or remove NAME");
	vmctl_default_signals();
	return r;
}
