# The lab (vmlab) and the client probe (hospes-probe).
bin_SCRIPTS += %D%/vmlab
EXTRA_DIST += %D%/vmlab.bash %D%/vmlab_systemd.bash %D%/debtree.bash %D%/demo.bash %D%/cluster_demo.bash %D%/demo_common.bash
CLEANFILES += %D%/vmlab
%D%/vmlab: $(top_srcdir)/%D%/vmlab.bash
	$(AM_V_GEN)$(MKDIR_P) %D% && cp $(top_srcdir)/%D%/vmlab.bash $@.tmp && chmod 755 $@.tmp && mv $@.tmp $@

# what vmlab reads: beside it in the build tree, in share/hospes when installed
VMLAB_D = %D%/vmlab.d/systemd.bash %D%/vmlab.d/packages.txt
vmlabdir = $(pkgdatadir)/vmlab.d
nodist_vmlab_DATA = $(VMLAB_D)
nodist_vmlab_SCRIPTS = %D%/vmlab.d/debtree
CLEANFILES += $(VMLAB_D) %D%/vmlab.d/debtree
%D%/vmlab.d/systemd.bash: $(top_srcdir)/%D%/vmlab_systemd.bash
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(top_srcdir)/%D%/vmlab_systemd.bash $@
%D%/vmlab.d/packages.txt: $(top_srcdir)/%D%/packages.txt
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(top_srcdir)/%D%/packages.txt $@
%D%/vmlab.d/debtree: $(top_srcdir)/%D%/debtree.bash
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(top_srcdir)/%D%/debtree.bash $@.tmp && chmod 755 $@.tmp && mv $@.tmp $@

bin_PROGRAMS += %D%/hospes-probe
%C%_hospes_probe_SOURCES = %D%/probe.c %D%/probe_echo.c %D%/probe_redis.c %D%/probe_ask.c %D%/probe_int.h

MAN_PAGES += docs/man/vmlab.8 docs/man/hospes-probe.1

LINT_TARGETS += lint-shell
PHONY += lint-shell
lint-shell:
	@cd $(top_srcdir) && if command -v shellcheck >/dev/null; then shellcheck -S warning -x $$(git ls-files 2>/dev/null | \
		xargs grep -lE '^#!/bin/(ba)?sh' 2>/dev/null | grep -vE '^(autogen.sh|build-aux/)'); \
		else echo 'lint-shell: skipped, shellcheck is missing' >&2; fi
