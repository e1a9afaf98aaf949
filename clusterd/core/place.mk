# Placement and balancing: pure.
