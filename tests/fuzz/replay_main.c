/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replays a fuzz target's corpus without libFuzzer, for make check: each file of tests/fuzz/corpus/FUZZ_NAME (or those named
 * on the command line) once, whole, and every prefix of small ones. An empty corpus is a failure.
 */
#include "config.h"
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"
#include "tests/fuzz/fuzz.h"

#define FILE_MAX   (4u << 20)
#define PREFIX_MAX 2048u

static int replay_file(const char *path)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	int r = file_read(path, FILE_MAX, &data, &len);

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return r;
	}
	/* exact-size copies, so that the sanitizers see a read past the end */
	for (size_t n = len <= PREFIX_MAX ? 0 : len; n <= len; n++) {
		_cleanup_free_ uint8_t *copy = malloc(n ? n : 1);

		if (!copy)
			return -1;
		memcpy(copy, data, n);
		LLVMFuzzerTestOneInput(copy, n);
	}
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_free_ char *dir = xasprintf("%s/tests/fuzz/corpus/%s", getenv("top_srcdir") ?: ".", FUZZ_NAME);
	unsigned count = 0;
	struct dirent *e;
	DIR *d;

	for (int i = 1; i < argc; i++)
		if (replay_file(argv[i]) < 0)
			return 1;
	if (argc > 1)
		return 0;
	d = opendir(dir);
	if (!d) {
		perror(dir);
		return 1;
	}
	while ((e = readdir(d))) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, e->d_name);

		if (e->d_name[0] == '.')
			continue;
		if (replay_file(path) < 0)
			return 1;
		count++;
	}
	closedir(d);
	printf("%s: %u inputs\n", FUZZ_NAME, count);
	return count ? 0 : 1;
}
