# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a whole check (HOSPES_TRIES=2) a test that fails has one more try, and both are told: two cores that carry a whole cluster are late now and then.
# What broke a promise has no second try (ADR 73). bats asks this when a test has failed; its output so far is in BATS_OUT.
bats_should_retry_test() {
	[ "$BATS_TEST_TRY_NUMBER" -lt "${HOSPES_TRIES:-1}" ] || return 1
	! grep -q '^PROMISE BROKEN' "$BATS_OUT" 2>/dev/null || return 1
	local trace
	bats_get_failure_stack_trace trace
	{
		echo "# tried again: $BATS_TEST_DESCRIPTION"
		bats_print_stack_trace "${trace[@]}"
		bats_print_failed_command "${trace[@]}"
		sed 's/^/# /' "$BATS_OUT"
		echo "# tried again: that was the first try"
	} >&3
}
