# Documentation: wire formats, decisions, man pages (those of vmlab, hospes-probe and vmclus are listed in tools/*.mk).
EXTRA_DIST += %D%/wire %D%/adr %D%/testing-guests.md %D%/fencing.md %D%/tour.md %D%/operating.md %D%/upgrade.md %D%/comparison.md %D%/figures.md %D%/json.md %D%/json %D%/manhtml.sh README.md HACKING.md COPYING
MAN_PAGES += %D%/man/vmctl.8 %D%/man/vmmig.8 %D%/man/migrated.8 %D%/man/hvdom.8 %D%/man/clusterd.8 %D%/man/hospes-guard.8 %D%/man/hospes-virtd.8 %D%/man/hospes-domain.5 %D%/man/hospes.7

# The pages name the usual directories; installed ones name this installation's.
EXTRA_DIST += $(MAN_PAGES)
nodist_man_MANS = $(MAN_PAGES:docs/%=%)
CLEANFILES += $(nodist_man_MANS)
man/%: docs/man/%
	$(AM_V_GEN)$(MKDIR_P) man && sed 's,/usr/local/lib/systemd/system,$(systemdunitdir),g; s,\bdocs/,$(docdir)/,g; $(HOST_DIRS)' $< >$@.tmp && mv $@.tmp $@
HOST_DIRS = s,/etc/hospes,$(sysconfdir)/hospes,g; s,/run/hospes,$(runstatedir)/hospes,g; \
	s,/var/lib/hospes,$(localstatedir)/lib/hospes,g; s,/var/log/hospes,$(localstatedir)/log/hospes,g

# What manual pages, messages and these texts themselves refer to, without the tree's docs/ in between; and the pages as HTML
PHONY += install-docs uninstall-docs
install-docs: $(nodist_man_MANS)
	$(MKDIR_P) '$(DESTDIR)$(docdir)/wire' '$(DESTDIR)$(docdir)/adr' '$(DESTDIR)$(docdir)/json'
	cd $(srcdir) && for f in README.md HACKING.md docs/*.md docs/wire/*.md docs/adr/*.md docs/json/*.json; do \
		sed 's,](docs/,](,g' $$f >"$(DESTDIR)$(docdir)/$${f#docs/}" && chmod 644 "$(DESTDIR)$(docdir)/$${f#docs/}" || exit 1; done
	sh $(srcdir)/%D%/manhtml.sh '$(MANDOC)' '$(docdir)' '$(DESTDIR)$(docdir)/man' $(nodist_man_MANS)
uninstall-docs:
	cd $(srcdir) && rm -f '$(DESTDIR)$(docdir)/man/index.html' $(MAN_PAGES:docs/man/%='$(DESTDIR)$(docdir)/man/%.html')
	cd $(srcdir) && for f in README.md HACKING.md docs/*.md docs/wire/*.md docs/adr/*.md docs/json/*.json; do rm -f "$(DESTDIR)$(docdir)/$${f#docs/}"; done
install-data-local: install-docs
uninstall-local: uninstall-docs
