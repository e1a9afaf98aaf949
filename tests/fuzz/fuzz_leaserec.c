/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: the reader of leases. The sum of each slot is made right first, otherwise nothing would come past it. What is taken for a
 * record is written again in the same octets, and the newer one is the newer one.
 */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include "hypervisor/api/leaserec.h"

#define UUID "11111111-2222-3333-4444-555555555555"

static void make_sum(char *slot)
{
	size_t len = 0;

	for (size_t i = 0; i < LEASEREC_SLOT - 17 && slot[i] && slot[i] != '\n'; i++)
		if (slot[i] == ' ')
			len = i + 1;
	if (len) {
		char sum[18];

		snprintf(sum, sizeof(sum), "%016llx\n", (unsigned long long)XXH3_64bits(slot, len));
		memcpy(slot + len, sum, 17);
	}
}

static bool check_slot(const char *slot)
{
	char text[LEASEREC_SLOT], again[LEASEREC_SLOT];
	struct leaserec l, read;

	if (!leaserec_parse(slot, &l))
		return false;
	leaserec_format(&l, text);
	FUZZ_CHECK(!text[LEASEREC_SLOT - 1] && !memcmp(slot, text, strlen(text)));
	FUZZ_CHECK(leaserec_parse(text, &read));
	leaserec_format(&read, again);
	FUZZ_CHECK(!memcmp(text, again, sizeof(text)));
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char octets[LEASEREC_BYTES] = { 0 };
	struct leaserec l[2];

	memcpy(octets, data, len < sizeof(octets) ? len : sizeof(octets));
	for (unsigned i = 0; i < 2; i++)
		make_sum(octets + i * LEASEREC_SLOT);
	int valid = check_slot(octets) + check_slot(octets + LEASEREC_SLOT), n = leaserec_pick(octets, UUID, l);
	if (n == -EXDEV)
		FUZZ_CHECK(valid && strcmp(l[0].uuid, UUID) != 0);
	else
		FUZZ_CHECK(n == valid || (n == -EINVAL && !valid));
	FUZZ_CHECK(n < 2 || l[0].seq >= l[1].seq);
	return 0;
}
