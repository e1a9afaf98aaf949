# Unit tests of dev.
