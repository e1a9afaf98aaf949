# The migration daemon: core (pure), io, main.
