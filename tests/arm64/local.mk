# A witness on arm64: cross-built, and its unit tests on such a machine of QEMU's. Ten minutes, the first time some more.
EXTRA_DIST += %D%/check.bash %D%/init
PHONY += check-arm64
check-arm64: guests/arm
	$(MAKE) $(AM_MAKEFLAGS) distdir distdir=arm64-src
	rc=0; bash $(top_srcdir)/%D%/check.bash arm64-src guests/arm-kernel || rc=$$?; rm -rf arm64-src; exit $$rc
