/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The procedures: what vdproc.c puts into its table. Each is a struct vd_proc's fn (virtd_int.h). */
#ifndef HOSPES_VIRTD_VDH_INT_H
#define HOSPES_VIRTD_VDH_INT_H

#include "tools/jsonconn.h"
#include "virtd/virtd_int.h"

#define VDH_VCPUS_QEMU 64u

/* libvirt's states of a domain */
enum { S_NOSTATE, S_RUNNING, S_BLOCKED, S_PAUSED, S_SHUTDOWN, S_SHUTOFF, S_CRASHED };

/* vdh_conn.c */
int vdh_auth_list(struct vd_call *c);
int vdh_open(struct vd_call *c);
int vdh_close(struct vd_call *c);
int vdh_feature(struct vd_call *c);
int vdh_type(struct vd_call *c);
int vdh_version(struct vd_call *c);
int vdh_hostname(struct vd_call *c);
int vdh_uri(struct vd_call *c);
int vdh_true(struct vd_call *c);
int vdh_false(struct vd_call *c);
int vdh_empty(struct vd_call *c);
int vdh_node_info(struct vd_call *c);
int vdh_free_memory(struct vd_call *c);
int vdh_max_vcpus(struct vd_call *c);
/* vdh_caps.c */
int vdh_caps(struct vd_call *c);
int vdh_domain_caps(struct vd_call *c);
int vdh_cpu_models(struct vd_call *c);
/* vdh_list.c */
int vdh_list_all(struct vd_call *c);
int vdh_list_ids(struct vd_call *c);
int vdh_list_defined(struct vd_call *c);
int vdh_num_active(struct vd_call *c);
int vdh_num_defined(struct vd_call *c);
int vdh_by_id(struct vd_call *c);
int vdh_by_name(struct vd_call *c);
int vdh_by_uuid(struct vd_call *c);
int vdh_all_stats(struct vd_call *c);
bool vdh_wanted(const struct vmhost_dom *d, uint32_t flags); /* by the flags of virConnectListAllDomains */
bool vdh_wanted_as(bool active, bool persistent, int32_t state, uint32_t flags);
/* vdh_dom.c */
int vdh_info(struct vd_call *c);
int vdh_state(struct vd_call *c);
int vdh_os_type(struct vd_call *c);
int vdh_xml(struct vd_call *c);
int vdh_is_active(struct vd_call *c);
int vdh_is_persistent(struct vd_call *c);
int vdh_max_memory(struct vd_call *c);
int vdh_vcpus(struct vd_call *c);
int vdh_vcpus_flags(struct vd_call *c);
int vdh_dom_false(struct vd_call *c); /* what no domain has */
int vdh_autostart_set(struct vd_call *c);
/* The configuration in use, the caller's: of a domain that is not defined here, what its hvdom says. NULL: the call's error is set. */
struct dom_config *vdh_config_of(struct vd_call *c, struct vmhost_dom *d);
/* vdh_look.c */
int vdh_block_info(struct vd_call *c);
int vdh_disk_errors(struct vd_call *c);
int vdh_vcpu_list(struct vd_call *c);
int vdh_vcpu_pins(struct vd_call *c);
int vdh_emulator_pins(struct vd_call *c);
int vdh_cpu_stats(struct vd_call *c);
int vdh_control_info(struct vd_call *c);
int vdh_screenshot(struct vd_call *c);
int vdh_lacks(struct vd_call *c);
/* vdh_node.c */
int vdh_node_cpu_stats(struct vd_call *c);
int vdh_node_memory_stats(struct vd_call *c);
int vdh_node_cpu_map(struct vd_call *c);
int vdh_cells_free(struct vd_call *c);
int vdh_pool_capabilities(struct vd_call *c);
/* vdh_set.c */
int vdh_set_memory(struct vd_call *c);
int vdh_set_max_memory(struct vd_call *c);
int vdh_set_memory_flags(struct vd_call *c);
int vdh_set_vcpus(struct vd_call *c);
int vdh_set_vcpus_flags(struct vd_call *c);
int vdh_attach(struct vd_call *c);
int vdh_detach(struct vd_call *c);
int vdh_block_resize(struct vd_call *c);
int vdh_metadata(struct vd_call *c);
int vdh_set_metadata(struct vd_call *c);
/* vdh_stats.c */
int vdh_block_stats(struct vd_call *c);
int vdh_block_stats_flags(struct vd_call *c);
int vdh_interface_stats(struct vd_call *c);
int vdh_memory_stats(struct vd_call *c);
/* vdh_life.c */
int vdh_define(struct vd_call *c);
int vdh_undefine(struct vd_call *c);
int vdh_create(struct vd_call *c);
int vdh_create_xml(struct vd_call *c);
int vdh_create_flags(struct vd_call *c);
int vdh_shutdown(struct vd_call *c);
int vdh_reboot(struct vd_call *c);
int vdh_destroy(struct vd_call *c);
int vdh_suspend(struct vd_call *c);
int vdh_resume(struct vd_call *c);
int vdh_save(struct vd_call *c);
int vdh_save_flags(struct vd_call *c);
int vdh_restore(struct vd_call *c);
int vdh_restore_flags(struct vd_call *c);
/* vdh_guest.c */
int vdh_addresses(struct vd_call *c);
int vdh_freeze(struct vd_call *c);
int vdh_thaw(struct vd_call *c);
int vdh_agent_command(struct vd_call *c);
int vdh_guest_hostname(struct vd_call *c);
int vdh_guest_time(struct vd_call *c);
int vdh_set_guest_time(struct vd_call *c);
int vdh_trim(struct vd_call *c);
/* vdh_store.c */
int vdh_pools(struct vd_call *c);
int vdh_pool_names(struct vd_call *c);
int vdh_pool_names_off(struct vd_call *c);
int vdh_num_pools(struct vd_call *c);
int vdh_num_pools_off(struct vd_call *c);
int vdh_pool_by_name(struct vd_call *c);
int vdh_pool_by_uuid(struct vd_call *c);
int vdh_pool_info(struct vd_call *c);
int vdh_pool_xml(struct vd_call *c);
int vdh_pool_true(struct vd_call *c);
int vdh_pool_active(struct vd_call *c);
int vdh_pool_build(struct vd_call *c);
int vdh_pool_refresh(struct vd_call *c);
int vdh_pool_refuse(struct vd_call *c);
int vdh_pool_autostart(struct vd_call *c);
int vdh_pool_define(struct vd_call *c);
int vdh_volumes(struct vd_call *c);
int vdh_num_volumes(struct vd_call *c);
int vdh_volume_names(struct vd_call *c);
int vdh_vol_pool(struct vd_call *c);
int vdh_vol_by_name(struct vd_call *c);
int vdh_vol_by_path(struct vd_call *c);
int vdh_vol_info(struct vd_call *c);
int vdh_vol_xml(struct vd_call *c);
int vdh_vol_path(struct vd_call *c);
int vdh_vol_create(struct vd_call *c);
int vdh_vol_delete(struct vd_call *c);
int vdh_vol_resize(struct vd_call *c);
int vdh_vol_upload(struct vd_call *c);
int vdh_vol_download(struct vd_call *c);
void vdh_vol_copied(struct vd_conn *conn, struct vd_call *c); /* begins the copy */
/* vdh_job.c */
int vdh_begin(struct vd_call *c);
int vdh_prepare(struct vd_call *c);
int vdh_perform(struct vd_call *c);
/* The host, and the bandwidth in MiB/s (0: no limit), that a call to perform a migration of @name names. */
int vdh_migrate_to(struct vd_call *c, const char *name, char *host, size_t room, uint64_t *ret_mib) _must_check_;
int vdh_migrate_flags(struct vd_call *c, uint32_t flags) _must_check_; /* those that no migration here has are refused */
/*
 * The first answer on @j that is no progress, at most @limit_s seconds from now (0: however long it takes), and not
 * when the server ends. @ret is owned by the caller. -ETIMEDOUT, -EINTR; as jsonconn_recv().
 */
int vdh_answer(struct vd_call *c, struct jsonconn *j, unsigned limit_s, json_t **ret, struct err *err) _must_check_;
/* The typed parameters of a job that is over, by migrated's result; and of a move in a cluster. */
void vdh_put_result(struct buf *b, const json_t *result);
void vdh_put_moved(struct buf *b, bool success);
/* What virDomainGetJobInfo and virDomainGetJobStats answer; @progress: migrated's, NULL: there is no job. */
void vdh_put_job(struct buf *b, const json_t *progress);
void vdh_put_job_stats(struct buf *b, const json_t *progress);
/* Of a call for statistics of jobs. *@ret_over: of one that is over, and nobody keeps that. */
int vdh_job_flags(struct vd_call *c, bool *ret_over) _must_check_;
int vdh_finish(struct vd_call *c);
int vdh_confirm(struct vd_call *c);
int vdh_job_info(struct vd_call *c);
int vdh_job_stats(struct vd_call *c);
int vdh_job_abort(struct vd_call *c);
/* vdh_console.c */
int vdh_console(struct vd_call *c);
int vdh_register(struct vd_call *c);
void vdh_registered(struct vd_conn *conn, struct vd_call *c);
int vdh_deregister(struct vd_call *c);

#endif
