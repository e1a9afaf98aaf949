/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A firmware's variables: see flash.h. */
#include "config.h"
#include "hypervisor/dev/flash.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "common/loop.h"
#include "common/pathopen.h"
#include "common/util.h"

#define LOOK_NS     (200 * NS_PER_MS) /* between two looks at the memory */
#define FORCE_NS    (3 * NS_PER_S)    /* a guest that never stops writing: what is there is written then */
#define TELL_NS     (10 * NS_PER_S)
#define STACK_BYTES (128u * 1024)

#define SLOT_MAGIC "hospes-nvram 1\n"
struct slot { /* of the file beside: docs/wire/nvram.md */
	char magic[16];
	char uuid[40];
	uint64_t bytes;
	uint64_t sum; /* xxh3-64 of the content, which follows */
};
_Static_assert(sizeof(struct slot) == 72, "as in docs/wire/nvram.md");

struct flash {
	char *path, uuid[40];
	int fd, beside, template; /* template -1: none */
	int mem;
	uint8_t *map, *copy; /* of mem; what is being written */
	size_t bytes;
	const struct deadline_page *deadline;
	void (*failed)(void *arg, int code);
	void *arg;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* of all that follows, and of writing; held while a write waits for storage */
	pthread_cond_t cond;
	bool quit;
	bool ours;         /* the file is locked by us, and the domain is ours by its lease */
	atomic_bool valid; /* mem has the guest's variables */
	bool saved;        /* sum is what the file has */
	uint64_t sum;
	uint64_t seen, since_ns, told_ns; /* what was last seen in mem, and since when it is not what the file has */
};

/* The file ------------------------------------------------------------------------------------------------------ */

static int put(struct flash *f, int fd, const void *p, size_t len, off_t at)
{
	for (size_t done = 0; done < len;) {
		if (deadline_page_over(f->deadline))
			return -ETIME;
		ssize_t n = pwrite(fd, (const uint8_t *)p + done, len - done, at + (off_t)done);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int get(int fd, void *p, size_t len, off_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (uint8_t *)p + done, len - done, at + (off_t)done);
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

/* f->copy into the file, where a crash in the middle leaves a part of it. */
static int put_content(struct flash *f)
{
	int r = put(f, f->fd, f->copy, f->bytes, 0);

	if (!r && fdatasync(f->fd) < 0)
		r = -errno;
	/* what is beside is of no use any more, and no harm: it is the same */
	if (!r && ftruncate(f->beside, 0) < 0)
		r = -errno;
	return r;
}

/* Whole or not at all: first beside, then in place. With the lock. */
static int store(struct flash *f)
{
	struct slot s = { .magic = SLOT_MAGIC, .bytes = f->bytes };
	int r;

	if (!f->ours || !f->valid)
		return 0;
	memcpy(f->copy, f->map, f->bytes);
	s.sum = XXH3_64bits(f->copy, f->bytes);
	if (f->saved && f->sum == s.sum)
		return 0;
	memcpy(s.uuid, f->uuid, sizeof(s.uuid));
	f->saved = false;
	r = put(f, f->beside, f->copy, f->bytes, sizeof(s));
	if (!r)
		r = put(f, f->beside, &s, sizeof(s), 0);
	if (!r && fdatasync(f->beside) < 0)
		r = -errno;
	if (!r)
		r = put_content(f);
	if (!r) {
		f->saved = true;
		f->sum = s.sum;
	}
	return r;
}

/* A write that a crash ended between beside and in place: f->copy has it. */
static bool half_written(struct flash *f)
{
	struct slot s;

	return get(f->beside, &s, sizeof(s), 0) == 0 && !memcmp(s.magic, SLOT_MAGIC, sizeof(s.magic)) &&
	       !strncmp(s.uuid, f->uuid, sizeof(s.uuid)) && s.bytes == f->bytes &&
	       get(f->beside, f->copy, f->bytes, sizeof(s)) == 0 && XXH3_64bits(f->copy, f->bytes) == s.sum;
}

static int read_template(struct flash *f, struct err *err)
{
	if (f->template <0)
		return err_set(err, ENOENT,
		               "there are no variables in %s yet, and no template to begin with is known: "
		               "<nvram template='...'>",
		               f->path);
	int r = get(f->template, f->copy, f->bytes, 0);
	return r < 0 ? err_sys(err, -r, "cannot read the template of %s", f->path) : 0;
}

static int load(struct flash *f, struct err *err)
{
	struct stat st;
	int r = 0;

	f->saved = false;
	if (half_written(f)) {
		r = put_content(f);
		if (r < 0)
			return err_sys(err, -r, "cannot write %s", f->path);
	}
	if (fstat(f->fd, &st) < 0)
		return err_sys(err, errno, "cannot read %s", f->path);
	if (st.st_size && (size_t)st.st_size != f->bytes)
		return err_set(
			err, EINVAL,
			"%s has %lld octets, and the variables of this firmware %zu: name the <loader> that it belongs "
			"to, or remove it to begin anew",
			f->path, (long long)st.st_size, f->bytes);
	if (st.st_size)
		r = get(f->fd, f->copy, f->bytes, 0);
	if (r < 0)
		return err_sys(err, -r, "cannot read %s", f->path);
	if (!st.st_size && (r = read_template(f, err)) < 0)
		return r;
	memcpy(f->map, f->copy, f->bytes);
	f->valid = true;
	f->saved = st.st_size;
	f->sum = f->seen = XXH3_64bits(f->copy, f->bytes);
	r = store(f); /* the first time */
	return r < 0 ? err_sys(err, -r, "cannot write %s", f->path) : 0;
}

/* The thread ---------------------------------------------------------------------------------------------------- */

/*
 * Something between two writes of the guest is worth nothing: wait until it has stood still for a look. With the
 * lock.
 */
static void look(struct flash *f)
{
	uint64_t sum, now = now_ns();

	if (!f->ours || !f->valid)
		return;
	sum = XXH3_64bits(f->map, f->bytes);
	if (f->saved && sum == f->sum) {
		f->since_ns = 0;
		return;
	}
	if (!f->since_ns)
		f->since_ns = now;
	bool still = sum == f->seen;
	f->seen = sum;
	if (!still && now - f->since_ns < FORCE_NS)
		return;
	int r = store(f);
	f->since_ns = r ? f->since_ns : 0;
	if (r < 0 && (!f->told_ns || now - f->told_ns >= TELL_NS)) {
		f->told_ns = now;
		f->failed(f->arg, -r);
	}
}

static void *watch(void *arg)
{
	struct flash *f = arg;

	pthread_mutex_lock(&f->lock);
	while (!f->quit) {
		uint64_t at = now_ns() + LOOK_NS;
		struct timespec ts = { .tv_sec = (time_t)(at / NS_PER_S), .tv_nsec = (long)(at % NS_PER_S) };

		pthread_cond_clockwait(&f->cond, &f->lock, CLOCK_MONOTONIC, &ts);
		if (!f->quit)
			look(f);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* Life ---------------------------------------------------------------------------------------------------------- */

static int open_files(struct flash *f, const struct devs_flash_cfg *cfg, struct err *err)
{
	_cleanup_free_ char *beside = xasprintf("%s.new", cfg->path);

	f->fd = path_open(cfg->paths, PATH_IMAGE, cfg->path, O_RDWR | O_CREAT | O_NOFOLLOW, "nvram", err);
	if (f->fd < 0)
		return f->fd;
	f->beside = path_open(cfg->paths, PATH_IMAGE, beside, O_RDWR | O_CREAT | O_NOFOLLOW, "nvram", err);
	if (f->beside < 0)
		return f->beside;
	if (!cfg->template)
		return 0;
	f->template = path_open(cfg->paths, PATH_KERNEL, cfg->template, O_RDONLY, "nvram template", err);
	return f->template <0 ? f->template : 0;
}

/* QEMU opens it: nothing but octets can change. */
static int make_memory(struct flash *f, struct err *err)
{
	f->mem = memfd_create("flash", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (f->mem < 0 || ftruncate(f->mem, (off_t)f->bytes) < 0 ||
	    fcntl(f->mem, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(err, errno, "cannot make the memory of the firmware's variables");
	f->map = mmap(NULL, f->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, f->mem, 0);
	if (f->map == MAP_FAILED) {
		f->map = NULL;
		return err_sys(err, errno, "cannot map the firmware's variables");
	}
	return 0;
}

int flash_new(const struct devs_flash_cfg *cfg, const struct deadline_page *deadline,
              void (*failed)(void *arg, int code), void *arg, struct flash **ret, struct err *err)
{
	struct flash *f = calloc(1, sizeof(*f));

	if (!f)
		return err_sys(err, ENOMEM, "cannot keep the firmware's variables");
	*f = (struct flash){ .fd = -1,
		             .beside = -1,
		             .template = -1,
		             .mem = -1,
		             .bytes = cfg->bytes,
		             .deadline = deadline,
		             .failed = failed,
		             .arg = arg };
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->cond, NULL);
	snprintf(f->uuid, sizeof(f->uuid), "%s", cfg->uuid);
	f->path = strdup(cfg->path);
	f->copy = malloc(f->bytes);
	int r = f->path && f->copy ? open_files(f, cfg, err)
	                           : err_sys(err, ENOMEM, "cannot keep the firmware's variables");
	if (!r)
		r = make_memory(f, err);
	if (r < 0)
		flash_free(f);
	else
		*ret = f;
	return r;
}

void flash_free(struct flash *f)
{
	if (!f)
		return;
	int *fds[] = { &f->fd, &f->beside, &f->template, &f->mem };
	if (f->started) {
		pthread_mutex_lock(&f->lock);
		f->quit = true;
		pthread_cond_signal(&f->cond);
		pthread_mutex_unlock(&f->lock);
		pthread_join(f->thread, NULL);
	}
	if (f->map)
		munmap(f->map, f->bytes);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	pthread_cond_destroy(&f->cond);
	pthread_mutex_destroy(&f->lock);
	free(f->copy);
	free(f->path);
	free(f);
}

int flash_start(struct flash *f, struct err *err)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	int r = pthread_create(&f->thread, &attr, watch, f);
	pthread_attr_destroy(&attr);
	if (r)
		return err_sys(err, r, "cannot start the thread of the firmware's variables");
	pthread_setname_np(f->thread, "flash");
	f->started = true;
	return 0;
}

int flash_fd(const struct flash *f)
{
	return f->mem;
}

int flash_lock(struct flash *f, struct err *err)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(f->fd, F_OFD_SETLK, &l) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES
	               ? err_set(err, EAGAIN, "%s is in use: another process has locked it", f->path)
	               : err_sys(err, errno, "cannot lock %s", f->path);
}

void flash_owned(struct flash *f)
{
	pthread_mutex_lock(&f->lock);
	f->ours = true;
	f->saved = false; /* another host may have written it */
	pthread_mutex_unlock(&f->lock);
}

void flash_unlock(struct flash *f)
{
	struct flock l = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	pthread_mutex_lock(&f->lock);
	f->ours = false;
	pthread_mutex_unlock(&f->lock);
	fcntl(f->fd, F_OFD_SETLK, &l);
}

int flash_load(struct flash *f, struct err *err)
{
	pthread_mutex_lock(&f->lock);
	int r = load(f, err);
	pthread_mutex_unlock(&f->lock);
	return r;
}

void flash_runs(struct flash *f)
{
	atomic_store(&f->valid, true); /* not with the lock, which a write that waits for storage has */
}

int flash_sync(struct flash *f, struct err *err)
{
	pthread_mutex_lock(&f->lock);
	int r = store(f);
	pthread_mutex_unlock(&f->lock);
	return r < 0 ? err_sys(err, -r, "cannot write the firmware's variables to %s", f->path) : 0;
}
