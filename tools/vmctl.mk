# The domains of this host: what vmctl and hospes-virtd share.
noinst_LIBRARIES += %D%/libvmhost.a
%C%_libvmhost_a_SOURCES = %D%/vmhost.h %D%/vmhost_agent.h %D%/vmhost_agent.c %D%/vmhost_ear.h %D%/vmhost_ear.c %D%/vmhost_define.c %D%/vmhost_look.c %D%/vmhost_plug.c %D%/vmhost_run.c %D%/vmhost_save.c
VMHOST_LIBS = %D%/libvmhost.a clusterd/guard/libguard.a hypervisor/api/libsavefile.a hypervisor/api/libpathconf.a hypervisor/api/libimgchain.a hypervisor/api/liblaunch.a hypervisor/api/libhvcall.a \
	hypervisor/api/xml/libdomxml.a common/libcommon.a
VMHOST_SYSLIBS = $(XML_LIBS) $(JANSSON_LIBS) $(LZ4_LIBS) $(XXHASH_LIBS)

# vmctl
bin_PROGRAMS += %D%/vmctl
%C%_vmctl_SOURCES = %D%/vmctl.c %D%/vmctl_int.h %D%/vmctl_common.c %D%/vmctl_console.c %D%/vmctl_define.c %D%/vmctl_guest.c %D%/vmctl_seed.c %D%/vmctl_info.c \
	%D%/vmctl_image.h %D%/vmctl_image.c %D%/vmctl_imageadd.c %D%/vmctl_imagetake.c %D%/vmctl_tool.h %D%/vmctl_tool.c \
	%D%/vmctl_create.h %D%/vmctl_create.c %D%/vmctl_createxml.c %D%/vmctl_createclus.c %D%/vmctl_seed.h \
	%D%/made.h %D%/made.c %D%/filehash.h %D%/filehash.c %D%/vmimage.h %D%/vmimage.c \
	%D%/vmctl_launch.c %D%/vmctl_plug.c %D%/vmctl_run.c %D%/vmctl_save.c %D%/vmctl_screen.c
%C%_vmctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(GCRYPT_CFLAGS)
%C%_vmctl_LDADD = %D%/libcli.a $(VMHOST_LIBS) $(VMHOST_SYSLIBS) $(GCRYPT_LIBS)

# What makes an image of packages (vmctl image make): beside vmctl in the build tree.
MKIMAGE = %D%/hospes-mkimage %D%/hospes-mkinitrd %D%/hospes-initrd-init %D%/hospes-debtree
helper_SCRIPTS += $(MKIMAGE)
CLEANFILES += $(MKIMAGE)
EXTRA_DIST += %D%/mkimage.bash %D%/mkinitrd.bash %D%/initrd-init.sh
MKIMAGE_COPY = $(AM_V_GEN)$(MKDIR_P) $(@D) && cp $< $@.tmp && chmod 755 $@.tmp && mv $@.tmp $@
%D%/hospes-mkimage: %D%/mkimage.bash
	$(MKIMAGE_COPY)
%D%/hospes-mkinitrd: %D%/mkinitrd.bash
	$(MKIMAGE_COPY)
%D%/hospes-initrd-init: %D%/initrd-init.sh
	$(MKIMAGE_COPY)
%D%/hospes-debtree: %D%/debtree.bash
	$(MKIMAGE_COPY)
