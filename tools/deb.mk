# Debian packages and their source package: in deb/ of the build tree. Needs group [deb] of packages.txt besides [build].
EXTRA_DIST += debian
PHONY += deb
deb: dist
	@command -v dh >/dev/null || { echo 'deb: no debhelper (tools/packages.txt, group deb)' >&2; exit 1; }
	rm -rf deb && $(MKDIR_P) deb && tar -C deb -xf $(distdir).tar.xz
	cd deb/$(distdir) && test "$$(dpkg-parsechangelog -S Version)" = '$(VERSION)' || { echo 'deb: debian/changelog is not of $(VERSION)' >&2; exit 1; }
	cd deb/$(distdir) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u DESTDIR DEB_BUILD_OPTIONS="$${DEB_BUILD_OPTIONS-parallel=$$(nproc)}" \
		dpkg-buildpackage --unsigned-source --unsigned-changes $(DEB_FLAGS)
	rm -rf deb/$(distdir)

# The packages of the last release, in deb-last/: for `make check-upgrade`. DEB_LAST: its commit; a new release moves it.
DEB_LAST = 2b7fe64ee21d06aec764f6149c842be5264742b2
PHONY += deb-last
deb-last:
	@test "`cat deb-last/commit 2>/dev/null`" = $(DEB_LAST) && exit 0; \
	git -C $(top_srcdir) cat-file -e $(DEB_LAST) || { echo 'deb-last: needs the repository, with $(DEB_LAST)' >&2; exit 1; }; \
	rm -rf deb-last && git clone -q --shared --no-checkout $(top_srcdir) deb-last/src && git -C deb-last/src checkout -q $(DEB_LAST) && \
	cd deb-last/src && unset MAKEFLAGS MFLAGS MAKELEVEL && ./autogen.sh >/dev/null && mkdir b && cd b && ../configure >/dev/null && \
	$(MAKE) -s deb && mv deb/*.deb ../.. && cd ../../.. && rm -rf deb-last/src && echo $(DEB_LAST) >deb-last/commit
