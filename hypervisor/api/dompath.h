/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The paths of a domain's files. All are malloc'd; @name is valid (name_is_valid()). For its leases see leaserec.h. */
#ifndef HOSPES_HYPERVISOR_DOMPATH_H
#define HOSPES_HYPERVISOR_DOMPATH_H

/* Names in the domain's run directory; see rundir.h. */
#define DOMPATH_SOCK "hv.sock"
#define DOMPATH_LOCK "lock"

char *dompath_runs(void);                         /* <run>/dom: the run directories of all domains that ran here */
char *dompath_run(const char *name);
char *dompath_sock(const char *name);
char *dompath_lock(const char *name);
char *dompath_log(const char *name);              /* <log>/NAME.log: the log of its hvdom */
char *dompath_definitions(void);                  /* <state>/domains: the XML of the domains defined on this host */
char *dompath_definition(const char *name);

#endif
