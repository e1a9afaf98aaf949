# The cluster daemon: core (pure), placement and planning (pure), io, main.
include clusterd/core/local.mk
include clusterd/core/place.mk
include clusterd/io/local.mk
