/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the state of a user-mode guest. What is accepted must encode, decode again, and be the same then. */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include "hypervisor/pv/image.h"
#include "tests/unit/imagesample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_buf_ struct buf a = { 0 }, b = { 0 };
	struct pv_image im;
	struct err err = { 0 };
	struct rd in = rd_of(data, len);

	if (pv_image_decode(&im, &in, SAMPLE_MEM_BYTES, SAMPLE_DEVS, &err)) {
		FUZZ_CHECK(err.code > 0 && err.text[0] && !im.fd && !im.vma && !im.stub);
		return 0;
	}
	/* what restore.c relies on */
	for (size_t i = 0; i < im.n_vmas; i++)
		FUZZ_CHECK(im.vma[i].start < im.vma[i].end && im.vma[i].end <= PV_TASK_TOP &&
		           (!i || im.vma[i].start >= im.vma[i - 1].end));
	for (size_t i = 0; i < im.n_stubs; i++)
		FUZZ_CHECK(im.stub[i].first_vma + im.stub[i].n_vmas <= im.n_stub_vmas);
	for (size_t i = 0; i < im.n_stub_vmas; i++)
		FUZZ_CHECK(im.stub_vma[i].end <= PV_STUB_TOP &&
		           im.stub_vma[i].offset + (im.stub_vma[i].end - im.stub_vma[i].start) <= SAMPLE_MEM_BYTES);
	for (size_t i = 0; i < im.n_pages; i++)
		FUZZ_CHECK(im.pages[i].data + (uint64_t)im.pages[i].n * 4096 <= im.page_data_len);
	FUZZ_CHECK(im.n_fds <= PV_FDS_MAX && im.n_ep <= PV_EPOLL_MAX && im.n_files <= PV_FILES_MAX &&
	           im.n_helpers <= 8);
	FUZZ_CHECK(pv_image_encode(&im, &a, &err) == 0);
	pv_image_done(&im);
	in = rd_of(a.data, a.len);
	FUZZ_CHECK(pv_image_decode(&im, &in, SAMPLE_MEM_BYTES, SAMPLE_DEVS, &err) == 0 && in.left == 0);
	FUZZ_CHECK(pv_image_encode(&im, &b, &err) == 0);
	FUZZ_CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
	pv_image_done(&im);
	return 0;
}
