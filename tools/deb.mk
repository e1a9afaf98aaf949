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
