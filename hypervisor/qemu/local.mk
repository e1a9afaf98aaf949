# Engine qemu: guests with kernels of their own, under QEMU.
noinst_LIBRARIES += %D%/libqemu.a
%C%_libqemu_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_libqemu_a_SOURCES = %D%/qargs.h %D%/qargs.c %D%/qasked.h %D%/qasked.c %D%/qcpu.h %D%/qcpu.c %D%/qdisplay.h %D%/qdisplay.c %D%/qscreen.h %D%/qscreen.c %D%/qdisk.h %D%/qdisk.c %D%/qnic.h %D%/qnic.c %D%/qmp.h %D%/qmp.c %D%/qstate.h %D%/qstate.c %D%/qproc.h %D%/qproc.c %D%/qtrack.h %D%/qtrack_int.h %D%/qtrack.c %D%/qsoft.c %D%/qholes.h %D%/qholes.c %D%/qballoon.c \
	%D%/qvm_int.h %D%/qvm.c %D%/qhost.c %D%/qhost_cpu.c %D%/qplug.c %D%/qemu.c
