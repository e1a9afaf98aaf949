# The Spin model of ownership.
TESTS += %D%/ownership.sh
EXTRA_DIST += %D%/ownership.sh %D%/ownership.pml
