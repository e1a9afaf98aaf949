# Spin models: ownership, and node lists that change.
TESTS += %D%/ownership.sh %D%/lists.sh
EXTRA_DIST += %D%/ownership.sh %D%/lists.sh %D%/ownership.pml %D%/lists.pml
