# Scenario tests: text in, golden trace out.
