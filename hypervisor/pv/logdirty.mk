# Log-dirty of pv guests: part of libpv.a.
hypervisor_pv_libpv_a_SOURCES += %D%/logdirty.h %D%/logdirty.c %D%/hashlog_int.h %D%/hashlog.c \
	%D%/track_int.h %D%/track.c %D%/track_rules.c %D%/uffd_int.h %D%/uffd.c %D%/uffd_arm.c %D%/armer_int.h
# runs inside the guest kernel's process: compiled as the restorer is
hypervisor_pv_librestorer_a_SOURCES += %D%/armer.c
hypervisor_pv_libpv_a_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
