# Unit tests of placement and balancing.
