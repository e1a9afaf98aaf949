# Tests with real guests, daemons and network namespaces: `make check-system`, and in `make check` of a build without sanitizers (whose
# shadow memory a host's limits do not fit). They need root and `make guests`, and say what is missing when they skip.
include %D%/dev/local.mk
include %D%/pv/local.mk
include %D%/qemu/local.mk

# the longest first: two at a time
HOST_TESTS = %D%/fault.bats %D%/qemu.bats %D%/qemu_boot.bats %D%/qemu_graph.bats %D%/qemu_disk.bats %D%/qemu_nic.bats %D%/qemu_arm.bats %D%/qemu_other.bats %D%/life.bats %D%/hostile.bats %D%/push.bats %D%/fault_qemu.bats %D%/redis.bats %D%/refuse.bats %D%/virtd.bats %D%/disk.bats %D%/qcow2.bats %D%/vmlab.bats %D%/isolation.bats %D%/engine.bats %D%/plug.bats
# One after the other: Corosyncs run at real-time priority, and one whose links are cut takes a core whole; two labs at once starve each other.
CLUSTER_TESTS = %D%/clus_life.bats %D%/clus_fail.bats %D%/clus_park.bats %D%/clus_pause.bats %D%/clus_daemon.bats %D%/clus_mixed.bats %D%/clus_order.bats %D%/clus_pair.bats %D%/clus_witness.bats %D%/clus_stall.bats
# on hosts with a real systemd and the installed units (vmlab up --systemd)
SYSTEMD_TESTS = %D%/sysd_units.bats %D%/sysd_init.bats
SYSTEM_TESTS = $(HOST_TESTS) $(CLUSTER_TESTS) $(SYSTEMD_TESTS)
# Tests marked "# bats test_tags=long" are not among the usual ones: `make check-long`, and part of `make soak`.
LONG_FILES = %D%/plug.bats %D%/virtd.bats %D%/fault.bats %D%/life.bats %D%/oom_qemu.bats %D%/qemu.bats %D%/qemu_disk.bats %D%/qemu_nic.bats %D%/qemu_arm.bats %D%/qemu_other.bats %D%/qemu_stock.bats %D%/sysd_lab.bats %D%/sysd_units.bats %D%/sysd_init.bats %D%/clus_life.bats %D%/clus_order.bats %D%/clus_rules.bats %D%/clus_pair.bats %D%/clus_stall.bats %D%/clus_daemon.bats %D%/clus_fail.bats %D%/clus_fence.bats %D%/clus_park.bats %D%/clus_mixed.bats %D%/clus_pause.bats %D%/create.bats
SYSTEM_HELPERS = %D%/lockcheck %D%/hvtool %D%/hangfs %D%/lablook %D%/rfb
EXTRA_DIST += $(SYSTEM_TESTS) $(LONG_FILES) %D%/deb.bats %D%/bare.bash %D%/bare.bats %D%/upgrade.bats %D%/clus_cut.bats %D%/sysd_faults.bats %D%/soak_hosts.bats %D%/qemu_guests.bash %D%/qemu_hosts.bash %D%/qemu_image.bash %D%/kvm.bats %D%/kernels.bats %D%/kvm/machine.bash %D%/kvm/init %D%/lib.bash %D%/fault.bash tests/retry.bash tests/usage.bash tests/jsonlog.bash tests/jsonlog.py %D%/clus.bash %D%/clus_guests.bash %D%/clus_hang.bash %D%/clus_pause.bash %D%/clkshim.c tests/summary tests/summary-test.sh
TESTS += tests/summary-test.sh
check_PROGRAMS += $(SYSTEM_HELPERS)
%C%_lockcheck_SOURCES = %D%/lockcheck.c
%C%_hangfs_SOURCES = %D%/hangfs.c
%C%_rfb_SOURCES = %D%/rfb.c
%C%_hvtool_SOURCES = %D%/hvtool.c %D%/hvevil.h %D%/hvevil.c
%C%_hvtool_LDADD = hypervisor/libhv.a hypervisor/pv/libpv.a hypervisor/api/libhvcall.a common/libcommon.a
%C%_lablook_SOURCES = %D%/lablook.c
%C%_lablook_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_lablook_LDADD = tools/libcli.a hypervisor/api/libhvcall.a common/libcommon.a $(JANSSON_LIBS) $(XXHASH_LIBS)

# loaded into daemons of a lab host: its clocks lag
check_DATA = %D%/clkshim.so
CLEANFILES += %D%/clkshim.so
%D%/clkshim.so: %D%/clkshim.c
	$(AM_V_CC)$(MKDIR_P) $(@D) && $(CC) $(CFLAGS) -shared -fPIC -o $@ $<

AM_BATS_LOG_FLAGS = --tap -T --filter-tags !long
if !WITH_SANITIZERS
TESTS += $(SYSTEM_TESTS)
endif

PHONY += check-system check-hosts check-cluster
check-hosts: all guests $(SYSTEM_HELPERS) %D%/pv/trackguest %D%/pv/engineguest %D%/qemu/qemuguest
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(HOST_TESTS) %D%/pv/track.sh'
check-cluster: all guests $(SYSTEM_HELPERS) %D%/clkshim.so
	$(MAKE) $(AM_MAKEFLAGS) -j1 check-TESTS TESTS='$(CLUSTER_TESTS) $(SYSTEMD_TESTS)'
check-system: all guests $(SYSTEM_HELPERS)
	@rc=0; for t in check-hosts check-cluster; do $(MAKE) $(AM_MAKEFLAGS) $$t || rc=1; done; exit $$rc

# ... and the cluster's tests once more, on hosts with systemd, long ones, too
PHONY += check-systemd
check-systemd: all guests $(SYSTEM_HELPERS)
	@why=`$(AM_TESTS_ENVIRONMENT) tools/vmlab __why_not_systemd`; test -z "$$why" || { echo "check-systemd: $$why" >&2; exit 1; }
	LAB_KIND=systemd BATS_TEST_TIMEOUT=900 $(MAKE) $(AM_MAKEFLAGS) -j1 check-TESTS AM_BATS_LOG_FLAGS='--tap -T' \
		TESTS='%D%/sysd_lab.bats $(SYSTEMD_TESTS) %D%/clus_life.bats %D%/clus_fail.bats %D%/clus_daemon.bats %D%/clus_park.bats %D%/clus_order.bats'

# guests of engine kvm, on a machine whose AMD-V QEMU emulates: half an hour
SOAK_TARGETS += check-kvm
PHONY += check-kvm
check-kvm: all guests $(SYSTEM_HELPERS) %D%/qemu/qemuguest
	$(AM_TESTS_ENVIRONMENT) HOSPES_PATIENCE=6 BATS_TEST_TIMEOUT=2400 bash $(top_srcdir)/%D%/kvm/machine.bash $(BATS) --tap -T $(top_srcdir)/%D%/kvm.bats

# how writes are found, under the kernels that Debian 12 has, in such machines: an hour
SOAK_TARGETS += check-kernels
PHONY += check-kernels
check-kernels: all guests $(SYSTEM_HELPERS) tests/unit/test_logdirty tests/unit/test_qholes tests/unit/test_qsoft tests/unit/test_qtrack tests/unit/test_trackrules
	@rc=0; for v in 6.1 6.12; do k=`ls /boot/vmlinuz-$$v.*-amd64 2>/dev/null | grep -v -e cloud -e rt- | sort -V | tail -n 1`; \
		test -n "$$k" || { echo "check-kernels: no kernel $$v in /boot (packages linux-image-amd64, linux-image-6.12-amd64)" >&2; rc=1; continue; }; \
		echo "check-kernels: $$k"; $(AM_TESTS_ENVIRONMENT) HOSPES_KVM_KERNEL=$$k HOSPES_PATIENCE=6 BATS_TEST_TIMEOUT=2400 \
		bash $(top_srcdir)/%D%/kvm/machine.bash $(BATS) --tap -T $(top_srcdir)/%D%/kernels.bats || rc=1; done; exit $$rc

# the Debian packages, on a bare host of their own
PHONY += check-deb
check-deb: deb guests $(SYSTEM_HELPERS)
	$(AM_TESTS_ENVIRONMENT) BATS_TEST_TIMEOUT=900 $(BATS) --tap -T $(top_srcdir)/%D%/deb.bats

# ... clusters made of nothing but them, in minutes, and interrupted
PHONY += check-bare
check-bare: deb guests guests/state $(SYSTEM_HELPERS)
	$(AM_TESTS_ENVIRONMENT) BATS_TEST_TIMEOUT=1200 $(BATS) --tap -T $(top_srcdir)/%D%/bare.bats

# ... and those of the last release beside them: deb-last/, made of this repository's commit (tools/deb.mk)
PHONY += check-upgrade
check-upgrade: deb deb-last guests $(SYSTEM_HELPERS)
	$(AM_TESTS_ENVIRONMENT) BATS_TEST_TIMEOUT=900 $(BATS) --tap -T $(top_srcdir)/%D%/upgrade.bats

# what takes minutes: pauses and stalls
SOAK_TARGETS += check-long
PHONY += check-long
check-long: all guests guests/stock.img guests/state $(SYSTEM_HELPERS) %D%/clkshim.so
	$(AM_TESTS_ENVIRONMENT) BATS_TEST_TIMEOUT=900 $(BATS) --tap -T --filter-tags long $(addprefix $(top_srcdir)/,$(LONG_FILES))

# a fault at each step of a move of a guest under QEMU, as fault.bats has it in the usual tests for one of engine pv
SOAK_TARGETS += check-fault-qemu
PHONY += check-fault-qemu
check-fault-qemu: all guests $(SYSTEM_HELPERS)
	$(AM_TESTS_ENVIRONMENT) HOSPES_ENGINE=qemu BATS_TEST_TIMEOUT=900 $(BATS) --tap -T $(top_srcdir)/%D%/fault.bats $(top_srcdir)/%D%/fault_qemu.bats

# 200 pushes back and forth of the loaded guest, and of Debian with Redis; `make check` does 10 of each
SOAK_TARGETS += soak-push
SOAK_PUSHES = 200
PHONY += soak-push
soak-push: all guests $(SYSTEM_HELPERS)
	$(AM_TESTS_ENVIRONMENT) HOSPES_PUSHES=$(SOAK_PUSHES) BATS_TEST_TIMEOUT=7200 $(BATS) --tap -f 'pushes' $(top_srcdir)/%D%/push.bats $(top_srcdir)/%D%/redis.bats

# 50 cuts of each host in turn, healed at random: 0 double runs, 0 lost domains
SOAK_TARGETS += soak-cut
SOAK_CUTS = 50
PHONY += soak-cut
soak-cut: all guests $(SYSTEM_HELPERS)
	$(AM_TESTS_ENVIRONMENT) HOSPES_CUTS=$(SOAK_CUTS) BATS_TEST_TIMEOUT=10800 $(BATS) --tap $(top_srcdir)/%D%/clus_cut.bats
# ... of two hosts and a witness, which lose their power, too
SOAK_TARGETS += soak-cut-witness
PHONY += soak-cut-witness
soak-cut-witness: all guests $(SYSTEM_HELPERS)
	$(AM_TESTS_ENVIRONMENT) CLUS_HOSTS='2 --witness' HOSPES_WAYS='both in out kill kill' HOSPES_CUTS=$(SOAK_CUTS) BATS_TEST_TIMEOUT=10800 $(BATS) --tap $(top_srcdir)/%D%/clus_cut.bats

# random faults on hosts with a real systemd, SOAK_ENGINES=mixed (or qemu) with guests under QEMU among the guests: 0 double runs, 0 late writes, 0 lost domains, 0 needless new starts
SOAK_TARGETS += soak-faults
SOAK_FAULTS = 100
SOAK_ENGINES = pv
PHONY += soak-faults
soak-faults: all guests $(SYSTEM_HELPERS)
	@why=`$(AM_TESTS_ENVIRONMENT) tools/vmlab __why_not_systemd`; test -z "$$why" || { echo "soak-faults: $$why" >&2; exit 1; }
	$(AM_TESTS_ENVIRONMENT) HOSPES_ENGINE=$(SOAK_ENGINES) HOSPES_FAULTS=$(SOAK_FAULTS) BATS_TEST_TIMEOUT=14400 $(BATS) --tap $(top_srcdir)/%D%/sysd_faults.bats

# the same questions to hosts that are machines (QEMU): paused with their clocks, without power, with an NFS server that stands still
SOAK_TARGETS += soak-hosts
SOAK_HOSTS = .
PHONY += soak-hosts
soak-hosts: all guests $(SYSTEM_HELPERS)
	@why=`$(AM_TESTS_ENVIRONMENT) bash $(top_srcdir)/%D%/qemu_hosts.bash`; test -z "$$why" || { echo "soak-hosts: $$why" >&2; exit 1; }
	$(AM_TESTS_ENVIRONMENT) BATS_TEST_TIMEOUT=3600 $(BATS) --tap -f '$(SOAK_HOSTS)' $(top_srcdir)/%D%/soak_hosts.bats
