/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See hostname.h. */
#include "config.h"
#include "common/hostname.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/util.h"

void host_name(char *ret, size_t len)
{
	_cleanup_free_ char *path = xasprintf("%s/hostname", path_conf()), *text = NULL;
	char system[HOST_NAME_MAX + 1] = "";
	const char *name = system;

	if (file_read(path, 256, &text, NULL) == 0) {
		text[strcspn(text, " \t\n")] = 0;
		if (name_is_valid(text))
			name = text;
	}
	if (name == system && gethostname(system, sizeof(system)) == 0)
		system[strcspn(system, ".")] = 0;
	snprintf(ret, len, "%s", name[0] ? name : "localhost");
}
