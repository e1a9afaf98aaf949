# Engine pv: user-mode kernels. The restorer is freestanding code that hvdom copies into new processes.
noinst_LIBRARIES += %D%/libpv.a %D%/librestorer.a %D%/libkernelfile.a
%C%_libpv_a_SOURCES = %D%/pt.h %D%/pt.c %D%/maps.h %D%/maps.c %D%/freeze.h %D%/freeze.c %D%/image.h %D%/image.c \
	%D%/dump.h %D%/dump.c %D%/dumpfd.h %D%/dumpfd.c %D%/restore.h %D%/restore.c %D%/adopt.h %D%/adopt.c %D%/restorer.h \
	%D%/sandbox.h %D%/sandbox.c %D%/holder_int.h %D%/holder.c %D%/filter.h %D%/filter.c %D%/lacks.h %D%/lacks.c %D%/look.h %D%/look.c %D%/pv.c \
	%D%/track.h %D%/track_int.h %D%/track.c %D%/track_rules.c %D%/uffd_int.h %D%/uffd_arm.c
# restorer.c copies itself into new processes, armer.c runs inside the guest kernel's
%C%_librestorer_a_SOURCES = %D%/restorer.c %D%/armer_int.h %D%/armer.c
%C%_librestorer_a_CFLAGS = -std=gnu11 $(WARN_CFLAGS) -O2 -g -ffreestanding -fPIC -fno-stack-protector -fno-jump-tables \
	-fno-tree-loop-distribute-patterns -fcf-protection=none -mno-sse -fno-sanitize=all -U_FORTIFY_SOURCE
# nothing from outside comes after these: distributions' CFLAGS have a stack protector
%D%/librestorer_a-%.o: override CFLAGS =
# the identity of a guest kernel: migrated compares it before anything is sent
%C%_libkernelfile_a_SOURCES = %D%/kernelfile.h %D%/kernelfile.c
%C%_libkernelfile_a_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
