/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: the frame of a state as SET_STATE takes it (devices' part, engine's part), with an engine part that decodes as the
 * pv engine would.
 */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include "hypervisor/pv/image.h"
#include "hypervisor/stateframe.h"
#include "tests/unit/imagesample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd dev, engine;
	struct pv_image im;
	struct err err = { 0 };

	if (stateframe_split(data, len, &dev, &engine, &err)) {
		FUZZ_CHECK(err.code > 0 && err.text[0]);
		return 0;
	}
	FUZZ_CHECK(dev.p >= data && engine.p == dev.p + dev.left && engine.p + engine.left == data + len);
	if (pv_image_decode(&im, &engine, SAMPLE_MEM_BYTES, SAMPLE_DEVS, &err) == 0)
		pv_image_done(&im);
	return 0;
}
