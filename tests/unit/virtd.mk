# hospes-virtd: readers, hostile clients, and real ones (virsh) against a stand-in for hvdom.
virtd_tests = %D%/test_vdxdr %D%/test_vdargs %D%/test_vdserver %D%/test_vdtls
check_PROGRAMS += $(virtd_tests)
TESTS += $(virtd_tests) %D%/test_virtd.bats %D%/test_virsh.bats %D%/test_virsh_form.bats %D%/test_virtd_tls.bats
EXTRA_DIST += %D%/test_virtd.bats %D%/test_virsh.bats %D%/test_virsh_form.bats %D%/test_virtd_tls.bats %D%/virtd.bash

%C%_test_vdxdr_SOURCES = %D%/test_vdxdr.c
%C%_test_vdxdr_LDADD = $(VIRTD_LIBS) $(TEST_LIBS) $(VMHOST_SYSLIBS)

%C%_test_vdargs_SOURCES = %D%/test_vdargs.c
%C%_test_vdargs_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_vdargs_LDADD = $(VIRTD_LIBS) $(TEST_LIBS) $(VMHOST_SYSLIBS)

%C%_test_vdserver_SOURCES = %D%/test_vdserver.c
%C%_test_vdserver_LDADD = $(VIRTD_LIBS) $(TEST_LIBS) $(VMHOST_SYSLIBS)

%C%_test_vdtls_SOURCES = %D%/test_vdtls.c
%C%_test_vdtls_LDADD = virtd/libvirtdtls.a virtd/libvirtd.a $(TEST_LIBS) $(GNUTLS_LIBS) $(SECCOMP_LIBS)
