# Scenario tests: text in, golden trace out.
TESTS += %D%/migstories.sh
EXTRA_DIST += %D%/migstories.sh %D%/mig

# plans for described clusters
TESTS += %D%/planstories.sh
EXTRA_DIST += %D%/planstories.sh %D%/plan
