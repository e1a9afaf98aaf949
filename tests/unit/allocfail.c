/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The countdown of failing allocations: see testutil.h. Reached by the linker's --wrap only; one thread. */
#include "config.h"
#include "tests/unit/testutil.h"

static unsigned alloc_countdown;
static bool alloc_hit;

void alloc_fail_at(unsigned nth)
{
	alloc_countdown = nth;
	alloc_hit = false;
}

bool alloc_fail_end(void)
{
	alloc_countdown = 0;
	return alloc_hit;
}

static size_t alloc_max;

void alloc_largest_reset(void)
{
	alloc_max = 0;
}

size_t alloc_largest(void)
{
	return alloc_max;
}

static bool fails_now(size_t bytes)
{
	if (bytes > alloc_max)
		alloc_max = bytes;
	if (!alloc_countdown || --alloc_countdown)
		return false;
	alloc_hit = true;
	errno = ENOMEM;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

void *__wrap_malloc(size_t size)
{
	return fails_now(size) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now(n * size) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails_now(size) ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *s)
{
	return fails_now(strlen(s) + 1) ? NULL : __real_strdup(s);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails_now(n * size) ? NULL : __real_reallocarray(p, n, size);
}
