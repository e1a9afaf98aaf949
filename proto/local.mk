# Protobuf messages of the daemons: libproto.a, made by $(PROTOC_C).
