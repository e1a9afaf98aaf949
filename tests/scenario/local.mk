# Scenario tests: text in, golden trace out.
TESTS += %D%/migstories.sh
EXTRA_DIST += %D%/migstories.sh %D%/mig
