# Protobuf messages of the daemons: libproto.a, made by $(PROTOC_C).
noinst_LIBRARIES += %D%/libproto.a
proto_generated = %D%/migration.pb-c.c %D%/migration.pb-c.h %D%/cluster.pb-c.c %D%/cluster.pb-c.h
nodist_%C%_libproto_a_SOURCES = $(proto_generated)
%C%_libproto_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) -Wno-strict-prototypes
BUILT_SOURCES += $(proto_generated)
CLEANFILES += $(proto_generated)
EXTRA_DIST += %D%/migration.proto %D%/cluster.proto
%D%/migration.pb-c.h: %D%/migration.pb-c.c
%D%/migration.pb-c.c: %D%/migration.proto
	$(AM_V_GEN)$(MKDIR_P) %D% && $(PROTOC_C) --proto_path=$(top_srcdir)/proto --c_out=%D% $(top_srcdir)/proto/migration.proto
%D%/cluster.pb-c.h: %D%/cluster.pb-c.c
%D%/cluster.pb-c.c: %D%/cluster.proto
	$(AM_V_GEN)$(MKDIR_P) %D% && $(PROTOC_C) --proto_path=$(top_srcdir)/proto --c_out=%D% $(top_srcdir)/proto/cluster.proto
