# Tests with real guests, daemons and network namespaces.
