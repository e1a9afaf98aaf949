# Virtio devices: libhvdev.a.
EXTRA_DIST += %D%/devs.h
