# Command line tools: vmctl, vmmig, vmlab.
EXTRA_DIST += %D%/packages.txt

# What they share.
noinst_LIBRARIES += %D%/libcli.a
%C%_libcli_a_SOURCES = %D%/cli.h %D%/jsonconn.h %D%/cli.c %D%/jsonconn.c %D%/vmclus_common.c
%C%_libcli_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)

include %D%/clus.mk
include %D%/deb.mk
if HYPERVISOR
include %D%/lab.mk
include %D%/vmctl.mk
include %D%/mig.mk
endif

# Each program's name finds the one file of completion.
EXTRA_DIST += %D%/completion.bash
COMPLETED = vmmig vmclus vmlab hospes-probe hvdom migrated clusterd hospes-guard hospes-virtd
PHONY += install-completion uninstall-completion
install-completion:
	$(MKDIR_P) '$(DESTDIR)$(bashcompletionsdir)' && $(INSTALL_DATA) $(srcdir)/%D%/completion.bash '$(DESTDIR)$(bashcompletionsdir)/vmctl'
	cd '$(DESTDIR)$(bashcompletionsdir)' && for p in $(COMPLETED); do rm -f $$p && $(LN_S) vmctl $$p || exit 1; done
uninstall-completion:
	cd '$(DESTDIR)$(bashcompletionsdir)' && rm -f vmctl $(COMPLETED)
install-data-local: install-completion
uninstall-local: uninstall-completion
