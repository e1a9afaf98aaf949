/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See dompath.h. */
#include "config.h"
#include "hypervisor/api/dompath.h"

#include "common/util.h"

char *dompath_runs(void)
{
	return xasprintf("%s/dom", path_run());
}

char *dompath_run(const char *name)
{
	return xasprintf("%s/dom/%s", path_run(), name);
}

char *dompath_sock(const char *name)
{
	return xasprintf("%s/dom/%s/" DOMPATH_SOCK, path_run(), name);
}

char *dompath_lock(const char *name)
{
	return xasprintf("%s/dom/%s/" DOMPATH_LOCK, path_run(), name);
}

char *dompath_log(const char *name)
{
	return xasprintf("%s/%s.log", path_log(), name);
}

char *dompath_definitions(void)
{
	return xasprintf("%s/domains", path_state());
}

char *dompath_definition(const char *name)
{
	return xasprintf("%s/domains/%s.xml", path_state(), name);
}
