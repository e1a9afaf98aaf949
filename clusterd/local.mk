# The cluster daemon.
