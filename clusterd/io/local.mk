# The cluster daemon and its guard: what touches the machine.
