# Guests for tests and demos: make guests -> guests/ in the build tree. They are not built by `make all` or `make check`.
EXTRA_DIST += %D%/mkinitramfs %D%/mkqemu %D%/mkarm %D%/mkstock %D%/mkdebian %D%/mktree.bash %D%/guest-init %D%/guest-down %D%/guest-qga %D%/workload.c %D%/wl_work.c %D%/wl_disk.c %D%/wl_witness.c %D%/wl_net.c \
	%D%/wl_agent.c %D%/wl_int.h %D%/debian

GUEST_TARGETS += guests/initramfs.img guests/debian.img

guest_workload_sources = $(top_srcdir)/%D%/workload.c $(top_srcdir)/%D%/wl_work.c $(top_srcdir)/%D%/wl_disk.c \
	$(top_srcdir)/%D%/wl_witness.c $(top_srcdir)/%D%/wl_net.c $(top_srcdir)/%D%/wl_agent.c

# Static and plain: it runs in the guest, without this build's sanitizers and hardening.
guests/workload: $(guest_workload_sources) $(top_srcdir)/%D%/wl_int.h
	$(AM_V_CC)$(MKDIR_P) guests && $(CC) -std=gnu11 -O2 -static $(WARN_CFLAGS) -D_GNU_SOURCE -I$(top_srcdir) -s -o $@ \
		$(guest_workload_sources) -lm

guests/initramfs.img: guests/workload $(top_srcdir)/%D%/mkinitramfs $(top_srcdir)/tools/mkinitrd.bash $(top_srcdir)/%D%/guest-init $(top_srcdir)/%D%/guest-down $(top_srcdir)/%D%/guest-qga
	$(AM_V_GEN)$(top_srcdir)/%D%/mkinitramfs guests/workload $@

# The same for a guest under QEMU, with Debian's kernel; without that there is none.
GUEST_TARGETS += guests/qemu
guests/qemu: guests/workload $(top_srcdir)/%D%/mkqemu $(top_srcdir)/%D%/mkinitramfs $(top_srcdir)/tools/mkinitrd.bash $(top_srcdir)/%D%/guest-init $(top_srcdir)/%D%/guest-down $(top_srcdir)/%D%/guest-qga
	$(AM_V_GEN)$(top_srcdir)/%D%/mkqemu guests/workload $@

# ... and with a processor of another kind; without a compiler for that there is none.
GUEST_TARGETS += guests/arm
guests/arm: $(guest_workload_sources) $(top_srcdir)/%D%/wl_int.h $(top_srcdir)/%D%/mkarm $(top_srcdir)/%D%/mkinitramfs $(top_srcdir)/tools/mkinitrd.bash $(top_srcdir)/%D%/guest-init $(top_srcdir)/%D%/guest-down $(top_srcdir)/%D%/guest-qga
	$(AM_V_GEN)$(MKDIR_P) guests && $(top_srcdir)/%D%/mkarm $@ aarch64-linux-gnu-gcc -std=gnu11 -O2 -static $(WARN_CFLAGS) -D_GNU_SOURCE -I$(top_srcdir) -s \
		$(guest_workload_sources) -lm

# The Debian guest takes half a minute and the network; it is made again only when its recipe changes.
guests/debian.img: $(top_srcdir)/%D%/mkdebian $(top_srcdir)/tools/mkimage.bash $(top_srcdir)/tools/debtree.bash $(top_srcdir)/%D%/mktree.bash $(top_srcdir)/%D%/debian/hospes-net guests/workload
	$(AM_V_GEN)if test "`id -u`" = 0; then $(top_srcdir)/%D%/mkdebian guests/workload $@; \
		else echo 'guests/debian.img: skipped, making it needs root' >&2; fi

# Debian as people have it, for engine qemu: minutes, and the network; not among `make guests`
guests/stock.img: $(top_srcdir)/%D%/mkstock $(top_srcdir)/tools/mkimage.bash $(top_srcdir)/tools/debtree.bash $(top_srcdir)/%D%/mktree.bash $(top_srcdir)/%D%/debian/hospes-net guests/workload
	$(AM_V_GEN)if test "`id -u`" = 0; then $(top_srcdir)/%D%/mkstock guests/workload $@; \
		else echo 'guests/stock.img: skipped, making it needs root' >&2; fi

# A state directory with the images that `vmctl image make` makes, for tests of vmctl create: minutes, and the network; not among `make guests`
guests/state: $(top_srcdir)/tools/mkimage.bash $(top_srcdir)/tools/mkinitrd.bash $(top_srcdir)/tools/initrd-init.sh $(top_srcdir)/tools/debtree.bash
	$(AM_V_GEN)$(MAKE) $(AM_MAKEFLAGS) tools/vmctl $(MKIMAGE) && rm -rf $@ && for e in pv qemu; do HOSPES_STATEDIR=`pwd`/$@.tmp tools/vmctl image make debian12 --engine $$e || exit 1; done && \
		mv $@.tmp $@

CLEANFILES += guests/stock.img guests/qemu guests/qemu-kernel guests/qemu-initramfs.img guests/qemu-full-kernel guests/qemu-full-initramfs.img guests/arm guests/arm-kernel guests/arm-initramfs.img guests/workload guests/initramfs.img guests/debian.img
