# hospes-virtd: libvirt's remote protocol over what vmctl and vmmig do.
noinst_LIBRARIES += %D%/libvirtd.a
%C%_libvirtd_a_SOURCES = %D%/virtd_int.h %D%/vdh_int.h %D%/vdargs.h %D%/vdargs.c %D%/vdcopy.h %D%/vdcopy.c %D%/vdconf.c %D%/vdconn.c %D%/vdevent.h %D%/vdevent.c %D%/vdjobs.c %D%/vdpool.c %D%/vdproc.c \
	%D%/vdserver.c %D%/vdstore.h %D%/vdstore.c %D%/vdstream.c %D%/vdtls.c %D%/vdtlsmsg.h %D%/vdtlsmsg.c %D%/vdxdr.h %D%/vdxdr.c \
	%D%/vdh_caps.c %D%/vdh_cluster.c %D%/vdh_conn.c %D%/vdh_console.c %D%/vdh_dom.c %D%/vdh_guest.c %D%/vdh_job.c %D%/vdh_life.c %D%/vdh_list.c %D%/vdh_look.c %D%/vdh_node.c %D%/vdh_set.c %D%/vdh_stats.c %D%/vdh_store.c
%C%_libvirtd_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(XML_CFLAGS)
VIRTD_LIBS = %D%/libvirtd.a hypervisor/api/libimgchain.a hypervisor/api/libpathconf.a tools/libcli.a $(VMHOST_LIBS)

sbin_PROGRAMS += %D%/hospes-virtd
%C%_hospes_virtd_SOURCES = %D%/main.c
%C%_hospes_virtd_LDADD = $(VIRTD_LIBS) common/libdaemon.a common/libcommon.a $(VMHOST_SYSLIBS) $(CAPNG_LIBS)
# What speaks TLS for it: the only program with GnuTLS.
noinst_LIBRARIES += %D%/libvirtdtls.a
%C%_libvirtdtls_a_SOURCES = %D%/vtls.h %D%/vtls_confine.c %D%/vtls_copy.c %D%/vtls_serve.c %D%/vtls_slots.c
%C%_libvirtdtls_a_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS) $(SECCOMP_CFLAGS)
helper_PROGRAMS += %D%/hospes-virtd-tls
%C%_hospes_virtd_tls_SOURCES = %D%/vtls_main.c
%C%_hospes_virtd_tls_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
%C%_hospes_virtd_tls_LDADD = %D%/libvirtdtls.a %D%/libvirtd.a common/libcommon.a $(GNUTLS_LIBS) $(SECCOMP_LIBS)
VIRTD_UNITS = %D%/hospes-virtd.service %D%/hospes-virtd.socket %D%/hospes-virtd-ro.socket %D%/hospes-virtd-tls.socket
nodist_systemdunit_DATA += $(VIRTD_UNITS)
EXTRA_DIST += $(VIRTD_UNITS:=.in) %D%/virtd.json
CLEANFILES += $(VIRTD_UNITS)
CONF_FILES += %D%/virtd.json:hospes/virtd.json
