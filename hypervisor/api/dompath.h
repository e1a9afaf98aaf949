/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a domain's files are. All are malloc'd; @name is valid (name_is_valid()). Its leases: leaserec.h. */
#ifndef HOSPES_HYPERVISOR_DOMPATH_H
#define HOSPES_HYPERVISOR_DOMPATH_H

/* In its run directory; see rundir.h. */
#define DOMPATH_SOCK "hv.sock"
#define DOMPATH_LOCK "lock"

char *dompath_runs(void);                         /* <run>/dom: the run directories of all that ran here */
char *dompath_run(const char *name);
char *dompath_sock(const char *name);
char *dompath_lock(const char *name);
char *dompath_log(const char *name);              /* of its hvdom: <log>/NAME.log */
char *dompath_definitions(void);                  /* <state>/domains: the XML of those that are defined on this host */
char *dompath_definition(const char *name);

#endif
