# Protobuf messages of the daemons: libproto.a, made by $(PROTOC_C).
noinst_LIBRARIES += %D%/libproto.a
proto_generated = %D%/migration.pb-c.c %D%/migration.pb-c.h %D%/cluster.pb-c.c %D%/cluster.pb-c.h %D%/policy.pb-c.c %D%/policy.pb-c.h
nodist_%C%_libproto_a_SOURCES = $(proto_generated)
%C%_libproto_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) -Wno-strict-prototypes
BUILT_SOURCES += $(proto_generated)
CLEANFILES += $(proto_generated) %D%/policy.proto
EXTRA_DIST += %D%/migration.proto %D%/cluster.proto %D%/policy.proto.in
%D%/migration.pb-c.h: %D%/migration.pb-c.c
%D%/migration.pb-c.c: %D%/migration.proto
	$(AM_V_GEN)$(MKDIR_P) %D% && $(PROTOC_C) --proto_path=$(top_srcdir)/proto --c_out=%D% $(top_srcdir)/proto/migration.proto
%D%/cluster.pb-c.h: %D%/cluster.pb-c.c
%D%/cluster.pb-c.c: %D%/cluster.proto %D%/policy.proto
	$(AM_V_GEN)$(PROTOC_C) --proto_path=$(top_srcdir)/proto --proto_path=%D% --c_out=%D% $(top_srcdir)/proto/cluster.proto
%D%/policy.pb-c.h: %D%/policy.pb-c.c
%D%/policy.pb-c.c: %D%/policy.proto
	$(AM_V_GEN)$(PROTOC_C) --proto_path=%D% --c_out=%D% %D%/policy.proto
%D%/policy.proto: %D%/policy.proto.in clusterd/core/policy.h
	$(AM_V_GEN)$(MKDIR_P) %D% && $(CC) -E -P -x c -I$(top_srcdir) $(top_srcdir)/proto/policy.proto.in >$@
