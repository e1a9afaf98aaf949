/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All procedures that are served: number, name, signature of the arguments (vdargs.h), and what may be done with it.
 * What is not here is answered as libvirt answers what it does not know, and clients fall back to what is. Sorted by
 * number.
 */
#include "config.h"
#include "virtd/vdh_int.h"

static const struct vd_proc procs[] = {
	{ 1, "open", "Su", VD_LOOP | VD_RO | VD_EARLY, vdh_open, NULL },
	{ 2, "close", "", VD_LOOP | VD_RO | VD_EARLY, vdh_close, NULL },
	{ 3, "type", "", VD_LOOP | VD_RO, vdh_type, NULL },
	{ 4, "version", "", VD_LOOP | VD_RO, vdh_version, NULL },
	{ 5, "max vcpus", "S", VD_LOOP | VD_RO, vdh_max_vcpus, NULL },
	{ 6, "node info", "", VD_RO, vdh_node_info, NULL },
	{ 7, "capabilities", "", VD_RO, vdh_caps, NULL },
	{ 9, "create", "D", VD_LONG, vdh_create, NULL },
	{ 10, "create from XML", "su", VD_LONG, vdh_create_xml, NULL },
	{ 11, "define", "s", 0, vdh_define, NULL },
	{ 12, "destroy", "D", VD_LONG, vdh_destroy, NULL },
	{ 14, "XML", "Du", VD_RO, vdh_xml, NULL },
	{ 15, "autostart", "D", VD_RO, vdh_dom_false, NULL },
	{ 16, "info", "D", VD_RO, vdh_info, NULL },
	{ 17, "max memory", "D", VD_RO, vdh_max_memory, NULL },
	{ 18, "max vcpus of a domain", "D", VD_RO, vdh_vcpus, NULL },
	{ 19, "os type", "D", VD_RO, vdh_os_type, NULL },
	{ 21, "list defined domains", "i", VD_RO, vdh_list_defined, NULL },
	{ 22, "lookup by id", "i", VD_RO, vdh_by_id, NULL },
	{ 23, "lookup by name", "s", VD_RO, vdh_by_name, NULL },
	{ 24, "lookup by uuid", "U", VD_RO, vdh_by_uuid, NULL },
	{ 25, "number of defined domains", "", VD_RO, vdh_num_defined, NULL },
	{ 27, "reboot", "Du", 0, vdh_reboot, NULL },
	{ 28, "resume", "D", 0, vdh_resume, NULL },
	{ 29, "set autostart", "Di", 0, vdh_autostart_set, NULL },
	{ 33, "shutdown", "D", 0, vdh_shutdown, NULL },
	{ 34, "suspend", "D", 0, vdh_suspend, NULL },
	{ 35, "undefine", "D", 0, vdh_undefine, NULL },
	{ 37, "list domains", "i", VD_RO, vdh_list_ids, NULL },
	{ 51, "number of domains", "", VD_RO, vdh_num_active, NULL },
	{ 52, "number of networks", "", VD_LOOP | VD_RO, vdh_false, NULL },
	{ 54, "restore", "s", VD_LONG, vdh_restore, NULL },
	{ 55, "save", "Ds", VD_LONG, vdh_save, NULL },
	{ 59, "hostname", "", VD_LOOP | VD_RO, vdh_hostname, NULL },
	{ 60, "feature", "i", VD_LOOP | VD_RO | VD_EARLY, vdh_feature, NULL },
	{ 64, "block statistics", "Ds", VD_RO, vdh_block_stats, NULL },
	{ 65, "interface statistics", "Ds", VD_RO, vdh_interface_stats, NULL },
	{ 66, "authentication", "", VD_LOOP | VD_RO | VD_EARLY, vdh_auth_list, NULL },
	{ 71, "number of pools", "", VD_RO, vdh_num_pools, NULL },
	{ 72, "list pools", "i", VD_RO, vdh_pool_names, NULL },
	{ 73, "number of defined pools", "", VD_RO, vdh_num_pools_off, NULL },
	{ 74, "list defined pools", "i", VD_RO, vdh_pool_names_off, NULL },
	{ 76, "create a pool", "su", VD_LOOP, vdh_pool_refuse, NULL },
	{ 77, "define a pool", "su", 0, vdh_pool_define, NULL },
	{ 78, "start a pool", "sUu", 0, vdh_pool_build, NULL },
	{ 79, "build a pool", "sUu", 0, vdh_pool_build, NULL },
	{ 80, "stop a pool", "sU", VD_LOOP, vdh_pool_refuse, NULL },
	{ 81, "delete a pool", "sUu", VD_LOOP, vdh_pool_refuse, NULL },
	{ 82, "undefine a pool", "sU", VD_LOOP, vdh_pool_refuse, NULL },
	{ 83, "refresh a pool", "sUu", VD_LOOP, vdh_pool_refresh, NULL },
	{ 84, "pool by name", "s", VD_LOOP | VD_RO, vdh_pool_by_name, NULL },
	{ 85, "pool by uuid", "U", VD_LOOP | VD_RO, vdh_pool_by_uuid, NULL },
	{ 86, "pool of a volume", "sss", VD_LOOP | VD_RO, vdh_vol_pool, NULL },
	{ 87, "pool info", "sU", VD_RO, vdh_pool_info, NULL },
	{ 88, "XML of a pool", "sUu", VD_RO, vdh_pool_xml, NULL },
	{ 89, "autostart of a pool", "sU", VD_LOOP | VD_RO, vdh_pool_true, NULL },
	{ 90, "set autostart of a pool", "sUi", VD_LOOP, vdh_pool_autostart, NULL },
	{ 91, "number of volumes", "sU", VD_RO, vdh_num_volumes, NULL },
	{ 92, "list volumes", "sUi", VD_RO, vdh_volume_names, NULL },
	{ 93, "create a volume", "sUsu", VD_LONG, vdh_vol_create, NULL },
	{ 94, "delete a volume", "sssu", 0, vdh_vol_delete, NULL },
	{ 95, "volume by name", "sUs", VD_RO, vdh_vol_by_name, NULL },
	{ 96, "volume by key", "s", VD_RO, vdh_vol_by_path, NULL },
	{ 97, "volume by path", "s", VD_RO, vdh_vol_by_path, NULL },
	{ 98, "volume info", "sss", VD_RO, vdh_vol_info, NULL },
	{ 99, "XML of a volume", "sssu", VD_RO, vdh_vol_xml, NULL },
	{ 100, "path of a volume", "sss", VD_RO, vdh_vol_path, NULL },
	{ 102, "free memory", "", VD_RO, vdh_free_memory, NULL },
	{ 110, "uri", "", VD_LOOP | VD_RO, vdh_uri, NULL },
	{ 126, "number of interfaces", "", VD_LOOP | VD_RO, vdh_false, NULL },
	{ 139, "number of secrets", "", VD_LOOP | VD_RO, vdh_false, NULL },
	{ 149, "secure", "", VD_LOOP | VD_RO, vdh_true, NULL },
	{ 150, "active", "D", VD_RO, vdh_is_active, NULL },
	{ 151, "persistent", "D", VD_RO, vdh_is_persistent, NULL },
	{ 154, "pool active", "sU", VD_RO, vdh_pool_active, NULL },
	{ 155, "pool persistent", "sU", VD_LOOP | VD_RO, vdh_pool_true, NULL },
	{ 157, "library version", "", VD_LOOP | VD_RO, vdh_version, NULL },
	{ 159, "memory statistics", "Duu", VD_RO, vdh_memory_stats, NULL },
	{ 163, "job info", "D", VD_RO, vdh_job_info, NULL },
	{ 164, "abort a job", "D", 0, vdh_job_abort, NULL },
	{ 178, "number of network filters", "", VD_LOOP | VD_RO, vdh_false, NULL },
	{ 183, "managed save", "Du", VD_RO, vdh_dom_false, NULL },
	{ 187, "number of snapshots", "Du", VD_RO, vdh_dom_false, NULL },
	{ 196, "create with flags", "Du", VD_LONG, vdh_create_flags, NULL },
	{ 200, "vcpus", "Du", VD_RO, vdh_vcpus_flags, NULL },
	{ 201, "console", "DSu", 0, vdh_console, NULL },
	{ 202, "updated", "D", VD_RO, vdh_dom_false, NULL },
	{ 208, "upload a volume", "sssllu", 0, vdh_vol_upload, vdh_vol_copied },
	{ 209, "download a volume", "sssllu", 0, vdh_vol_download, vdh_vol_copied },
	{ 212, "state", "Du", VD_RO, vdh_state, NULL },
	{ 231, "undefine with flags", "Du", 0, vdh_undefine, NULL },
	{ 232, "save with flags", "DsSu", VD_LONG, vdh_save_flags, NULL },
	{ 233, "restore with flags", "sSu", VD_LONG, vdh_restore_flags, NULL },
	{ 234, "destroy with flags", "Du", VD_LONG, vdh_destroy, NULL },
	{ 243, "block statistics with flags", "Dsiu", VD_RO, vdh_block_stats_flags, NULL },
	{ 258, "shutdown with flags", "Du", 0, vdh_shutdown, NULL },
	{ 260, "resize a volume", "ssslu", 0, vdh_vol_resize, NULL },
	{ 273, "list all domains", "iu", VD_RO, vdh_list_all, NULL },
	{ 274, "list all snapshots", "Diu", VD_RO, vdh_empty, NULL },
	{ 281, "list all pools", "iu", VD_RO, vdh_pools, NULL },
	{ 282, "list all volumes", "sUiu", VD_RO, vdh_volumes, NULL },
	{ 283, "list all networks", "iu", VD_LOOP | VD_RO, vdh_empty, NULL },
	{ 284, "list all interfaces", "iu", VD_LOOP | VD_RO, vdh_empty, NULL },
	{ 285, "list all node devices", "iu", VD_LOOP | VD_RO, vdh_empty, NULL },
	{ 286, "list all network filters", "iu", VD_LOOP | VD_RO, vdh_empty, NULL },
	{ 287, "list all secrets", "iu", VD_LOOP | VD_RO, vdh_empty, NULL },
	{ 298, "job statistics", "Du", VD_RO, vdh_job_stats, NULL },
	{ 302, "migrate begin", "DPu", 0, vdh_begin, NULL },
	{ 303, "migrate prepare", "Pou", 0, vdh_prepare, NULL },
	{ 305, "migrate perform", "DSPou", VD_LONG, vdh_perform, NULL },
	{ 306, "migrate finish", "Poui", 0, vdh_finish, NULL },
	{ 307, "migrate confirm", "DPoui", VD_LOOP, vdh_confirm, NULL },
	{ 316, "register for events", "iO", VD_RO, vdh_register, vdh_registered },
	{ 317, "deregister from events", "i", VD_LOOP | VD_RO, vdh_deregister, NULL },
	{ 335, "freeze file systems", "DTu", VD_LONG, vdh_freeze, NULL },
	{ 336, "thaw file systems", "DTu", VD_LONG, vdh_thaw, NULL },
	{ 342, "domain capabilities", "SSSSu", VD_RO, vdh_domain_caps, NULL },
	{ 344, "statistics of domains", "Auu", VD_RO, vdh_all_stats, NULL },
	{ 350, "define with flags", "su", 0, vdh_define, NULL },
	{ 353, "addresses", "Duu", VD_LONG, vdh_addresses, NULL },
};

const struct vd_proc *vd_proc_all(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(procs);
	return procs;
}

const struct vd_proc *vd_proc_find(uint32_t number)
{
	size_t low = 0, high = ARRAY_SIZE(procs);

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (procs[mid].number == number)
			return &procs[mid];
		if (procs[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
