# Unit tests of hypervisor.
