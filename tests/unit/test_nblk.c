/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks on controllers of QEMU's, by NBD: what is asked is done and marked nowhere else, errors by their policy, ownership, a suspended
 * domain, and a client that nobody should trust.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/util.h"
#include "hypervisor/dev/devs.h"
#include "hypervisor/dev/nbd.h"
#include "hypervisor/dev/nblk.h"
#include "hypervisor/dev/vudev.h"
#include "tests/unit/vdriver.h"

#define BYTES (4u << 20)
#define MEM   (2u << 20)

static struct {
	char *dir, path[256];
	struct dom_config cfg;
	struct devs *devs;
	struct guestmem mem;
	int sock, fd; /* QEMU's end; the image */
	atomic_int broken, told, held, rooms;
} t;

/* Between disk and kernel ------------------------------------------------------------------------------------------------ */

static atomic_int fails, stalls; /* errno of each transfer; they wait */

static int trouble(void)
{
	while (atomic_load(&stalls))
		usleep(1000);
	errno = atomic_load(&fails);
	return errno ? -1 : 0;
}

ssize_t __real_pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	return trouble() ? -1 : __real_pwritev2(fd, iov, n, offset, flags);
}
ssize_t __real_pwritev64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	return trouble() ? -1 : __real_pwritev64v2(fd, iov, n, offset, flags);
}
ssize_t __real_preadv(int fd, const struct iovec *iov, int n, off_t offset);
ssize_t __wrap_preadv(int fd, const struct iovec *iov, int n, off_t offset);
ssize_t __wrap_preadv(int fd, const struct iovec *iov, int n, off_t offset)
{
	return trouble() ? -1 : __real_preadv(fd, iov, n, offset);
}
ssize_t __real_preadv64(int fd, const struct iovec *iov, int n, off_t offset);
ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int n, off_t offset);
ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int n, off_t offset)
{
	return trouble() ? -1 : __real_preadv64(fd, iov, n, offset);
}
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	return trouble() ? -1 : __real_fdatasync(fd);
}

/* Fixture ---------------------------------------------------------------------------------------------------------------- */

static void on_broken(void *arg, const char *name, const char *why)
{
	(void)arg, (void)name, (void)why;
	atomic_fetch_add(&t.broken, 1);
}
static void on_error(void *arg, const char *name, int code, bool read, bool held)
{
	(void)arg, (void)name, (void)code, (void)read;
	atomic_fetch_add(held ? &t.held : &t.told, 1);
}
static void on_room(void *arg)
{
	(void)arg;
	atomic_fetch_add(&t.rooms, 1);
}

static void dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct err err = { 0 };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", t.dir);
	unlink(a.sun_path);
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(l >= 0 && bind(l, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(l, 2) == 0);
	if (nblk_listen(t.devs, 0, l, &err))
		fail_msg("%s", err.text);
	if (t.sock >= 0)
		close(t.sock);
	t.sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(t.sock, (struct sockaddr *)&a, sizeof(a)), 0);
}

static void open_devs(void)
{
	struct devs_events ev = { .broken = on_broken, .disk_error = on_error, .disk_room = on_room };
	struct err err = { 0 };

	if (devs_new(&t.cfg, &vuqemu_transport, &ev, &t.devs, &err))
		fail_msg("%s", err.text);
	devs_set_mem(t.devs, &t.mem);
	assert_int_equal(devs_start(t.devs, NULL), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.dir = test_dir_new();
	t.sock = -1;
	snprintf(t.path, sizeof(t.path), "%s/i", t.dir);
	t.fd = open(t.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(t.fd >= 0 && ftruncate(t.fd, BYTES) == 0);
	snprintf(t.cfg.name, sizeof(t.cfg.name), "unit");
	t.cfg.memory_bytes = MEM;
	t.cfg.n_disks = 1;
	t.cfg.disk[0] =
		(struct dom_disk){ .source = t.path, .target = "sda", .at = { .bus = DOM_BUS_SCSI }, .discard = true };
	assert_int_equal(vdriver_mem(&t.mem, MEM), 0);
	open_devs();
	return devs_lock(t.devs, NULL);
}

static int teardown(void **state)
{
	(void)state;
	atomic_store(&fails, 0);
	atomic_store(&stalls, 0);
	devs_free(t.devs);
	if (t.sock >= 0)
		close(t.sock);
	close(t.fd);
	guestmem_done(&t.mem);
	test_dir_remove(t.dir);
	return 0;
}

/* The client ------------------------------------------------------------------------------------------------------------- */

static void put(const void *p, size_t n)
{
	assert_int_equal(send(t.sock, p, n, MSG_NOSIGNAL), n);
}
static void get(void *p, size_t n)
{
	struct pollfd f = { .fd = t.sock, .events = POLLIN };

	for (size_t at = 0; at < n;) {
		assert_int_equal(poll(&f, 1, 20000), 1);
		ssize_t k = recv(t.sock, (uint8_t *)p + at, n - at, 0);
		assert_true(k > 0);
		at += (size_t)k;
	}
}
static bool hung_up(void)
{
	struct pollfd f = { .fd = t.sock, .events = POLLIN };
	uint8_t b[4096];

	while (poll(&f, 1, 20000) == 1) {
		ssize_t k = recv(t.sock, b, sizeof(b), 0);
		if (k <= 0)
			return true;
	}
	return false;
}
static bool silent(int ms)
{
	struct pollfd f = { .fd = t.sock, .events = POLLIN };

	return poll(&f, 1, ms) == 0;
}

static void put_option(uint32_t option, const void *data, uint32_t len)
{
	uint8_t m[16];
	uint64_t magic = htobe64(0x49484156454f5054ull);
	uint32_t o = htobe32(option), l = htobe32(len);

	memcpy(m, &magic, 8);
	memcpy(m + 8, &o, 4);
	memcpy(m + 12, &l, 4);
	put(m, 16);
	if (data)
		put(data, len);
}
static uint32_t get_option_reply(uint8_t *data, uint32_t *len)
{
	uint8_t m[20];
	uint32_t type;

	get(m, 20);
	memcpy(&type, m + 12, 4);
	memcpy(len, m + 16, 4);
	*len = be32toh(*len);
	assert_true(*len <= 64);
	get(data, *len);
	return be32toh(type);
}

static const uint8_t go[] = { 0, 0, 0, 0, 0, 1, 0, 3 }; /* export "", one wish: block sizes */

/* As QEMU's client. Returns the export's flags. */
static unsigned handshake(void)
{
	uint8_t m[64];
	uint32_t len;
	uint64_t bytes;
	uint16_t flags;

	get(m, 18);
	assert_memory_equal(m, "NBDMAGICIHAVEOPT\0\3", 18);
	put("\0\0\0\3", 4);
	put_option(8, NULL, 0); /* structured replies */
	assert_int_equal(get_option_reply(m, &len), NBD_REP_ERR_UNSUP);
	put_option(NBD_OPT_GO, go, sizeof(go));
	assert_int_equal(get_option_reply(m, &len), NBD_REP_INFO);
	assert_int_equal(len, 12);
	memcpy(&bytes, m + 2, 8);
	memcpy(&flags, m + 10, 2);
	assert_int_equal(be64toh(bytes), BYTES);
	assert_int_equal(get_option_reply(m, &len), NBD_REP_INFO);
	assert_int_equal(len, 14);
	assert_memory_equal(m, "\0\3\0\0\2\0\0\0\x10\0\0\x10\0\0", 14); /* 512, 4096, 1 MiB */
	assert_int_equal(get_option_reply(m, &len), NBD_REP_ACK);
	return be16toh(flags);
}

static void put_request(unsigned cmd, unsigned flags, uint64_t cookie, uint64_t offset, uint32_t bytes)
{
	uint8_t m[28];
	uint32_t magic = htobe32(0x25609513), n = htobe32(bytes);
	uint16_t f = htobe16((uint16_t)flags), c = htobe16((uint16_t)cmd);

	offset = htobe64(offset);
	memcpy(m, &magic, 4);
	memcpy(m + 4, &f, 2);
	memcpy(m + 6, &c, 2);
	memcpy(m + 8, &cookie, 8);
	memcpy(m + 16, &offset, 8);
	memcpy(m + 24, &n, 4);
	put(m, 28);
}
static uint32_t get_reply(uint64_t *cookie)
{
	uint8_t m[16];
	uint32_t e;

	get(m, 16);
	assert_memory_equal(m, "\x67\x44\x66\x98", 4);
	memcpy(&e, m + 4, 4);
	memcpy(cookie, m + 8, 8);
	return be32toh(e);
}
static uint32_t ask(unsigned cmd, unsigned flags, uint64_t offset, uint32_t bytes, void *data)
{
	static uint64_t cookie;
	uint64_t got;

	put_request(cmd, flags, ++cookie, offset, bytes);
	if (cmd == NBD_WRITE)
		put(data, bytes);
	uint32_t e = get_reply(&got);
	assert_int_equal(got, cookie);
	if (cmd == NBD_READ && !e)
		get(data, bytes);
	return e;
}
static bool eventually(const atomic_int *n, int want)
{
	for (int i = 0; i < 20000 && atomic_load(n) != want; i++)
		usleep(1000);
	return atomic_load(n) == want;
}

/* Tests ------------------------------------------------------------------------------------------------------------------ */

static void test_requests(void **state)
{
	static uint8_t w[1u << 20], r[1u << 20], z[65536];
	struct hv_stats st = { 0 };

	(void)state;
	dial();
	assert_int_equal(handshake(),
	                 NBD_FLAG_HAS_FLAGS | NBD_FLAG_FLUSH | NBD_FLAG_FUA | NBD_FLAG_TRIM | NBD_FLAG_WRITE_ZEROES);
	for (size_t i = 0; i < sizeof(w); i++)
		w[i] = (uint8_t)(i * 7 + i / 512);
	assert_int_equal(ask(NBD_WRITE, 0, 512, sizeof(w), w), 0);
	assert_int_equal(ask(NBD_FLUSH, 0, 0, 0, NULL), 0);
	assert_int_equal(ask(NBD_READ, 0, 512, sizeof(r), r), 0);
	assert_memory_equal(w, r, sizeof(w));
	assert_int_equal(pread(t.fd, r, sizeof(r), 512), sizeof(r));
	assert_memory_equal(w, r, sizeof(w));
	assert_int_equal(ask(NBD_WRITE, NBD_CMD_FUA, BYTES - 512, 512, w), 0);
	assert_int_equal(ask(NBD_WRITE_ZEROES, NBD_CMD_NO_HOLE, 65536, sizeof(z), NULL), 0);
	assert_int_equal(ask(NBD_TRIM, 0, 131072, sizeof(z), NULL), 0);
	for (unsigned at = 65536; at <= 131072; at += 65536) {
		assert_int_equal(ask(NBD_READ, 0, at, sizeof(z), r), 0);
		assert_memory_equal(z, r, sizeof(z));
	}
	/* several at once, answered in any order */
	for (uint64_t i = 0; i < 16; i++)
		put_request(NBD_READ, 0, i, i * 512, 512);
	for (unsigned seen = 0, i = 0; i < 16; i++) {
		uint64_t c;
		assert_int_equal(get_reply(&c), 0);
		assert_true(c < 16 && !(seen & 1u << c));
		seen |= 1u << c;
		get(r, 512);
		assert_true(!c || !memcmp(r, w + (c - 1) * 512, 512));
	}
	devs_stats(t.devs, &st);
	assert_int_equal(st.dev[0].kind, 2);
	assert_int_equal(st.dev[0].rd_ops, 19);
	assert_int_equal(st.dev[0].wr_ops, 2);
	assert_int_equal(st.dev[0].wr_bytes, sizeof(w) + 512);
	assert_int_equal(st.dev[0].flushes, 1);
	/* refused, and nothing comes of it */
	assert_int_equal(ask(NBD_READ, 0, BYTES, 512, r), NBD_EINVAL);
	assert_int_equal(ask(NBD_READ, 0, UINT64_MAX - 511, 512, r), NBD_EINVAL);
	assert_int_equal(ask(NBD_WRITE, 0, BYTES - 512, 1024, w), NBD_EINVAL);
	assert_int_equal(ask(NBD_READ, 0, 1, 512, r), NBD_EINVAL);
	assert_int_equal(ask(NBD_READ, 0, 0, 511, r), NBD_EINVAL);
	assert_int_equal(ask(NBD_READ, NBD_CMD_FUA, 0, 512, r), NBD_EINVAL);
	assert_int_equal(ask(NBD_WRITE_ZEROES, 0, 0, 64u << 20, NULL), NBD_EINVAL);
	assert_int_equal(ask(NBD_FLUSH, 0, 0, 512, NULL), NBD_EINVAL);
	assert_int_equal(ask(NBD_READ, 0, 0, 0, NULL), 0);
	assert_int_equal(atomic_load(&t.broken), 0);
	assert_int_equal(devs_disk_sectors(t.devs, 0), BYTES / 512);
}

static void test_readonly(void **state)
{
	uint8_t b[512] = { 0 };

	(void)state;
	devs_free(t.devs);
	t.cfg.disk[0].readonly = true;
	t.cfg.disk[0].discard = false;
	open_devs();
	assert_int_equal(devs_lock(t.devs, NULL), 0);
	dial();
	assert_int_equal(handshake(), NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY);
	assert_int_equal(ask(NBD_WRITE, 0, 0, 512, b), NBD_EPERM);
	assert_int_equal(ask(NBD_TRIM, 0, 0, 512, NULL), NBD_EPERM);
	assert_int_equal(ask(NBD_WRITE_ZEROES, 0, 0, 512, NULL), NBD_EPERM);
	assert_int_equal(ask(NBD_READ, 0, 0, 512, b), 0);
	assert_int_equal(ask(NBD_FLUSH, 0, 0, 0, NULL), 0);
}

/* Whose image it is not, and who stands still, is answered at once, and the image is not touched. */
static void test_ownership(void **state)
{
	_cleanup_buf_ struct buf saved = { 0 };
	struct err err = { 0 };
	uint8_t b[512] = { 1 };

	(void)state;
	dial();
	handshake();
	assert_int_equal(ask(NBD_WRITE, 0, 0, 512, b), 0);
	assert_int_equal(devs_quiesce(t.devs, &err), 0);
	assert_int_equal(ask(NBD_WRITE, 0, 512, 512, b), NBD_ESHUTDOWN);
	assert_int_equal(ask(NBD_FLUSH, 0, 0, 0, NULL), NBD_ESHUTDOWN);
	/* QEMU flushes once more before it tells its state: what was flushed is */
	assert_int_equal(devs_resume(t.devs, false, &err), 0);
	assert_int_equal(ask(NBD_FLUSH, 0, 0, 0, NULL), 0);
	assert_int_equal(devs_quiesce(t.devs, &err), 0);
	assert_int_equal(ask(NBD_FLUSH, 0, 0, 0, NULL), 0);
	assert_int_equal(devs_save(t.devs, &saved, &err), 0);
	/* the same elsewhere; QEMU is there before the state, and stays */
	devs_free(t.devs);
	open_devs();
	dial();
	handshake();
	assert_int_equal(ask(NBD_READ, 0, 0, 512, b), NBD_ESHUTDOWN);
	assert_int_equal(ask(NBD_WRITE, 0, 0, 512, b), NBD_ESHUTDOWN);
	struct rd in = rd_of(saved.data, saved.len);
	if (devs_load(t.devs, &in, &err))
		fail_msg("%s", err.text);
	assert_int_equal(in.left, 0);
	assert_int_equal(ask(NBD_READ, 0, 0, 512, b), NBD_ESHUTDOWN);
	assert_int_equal(devs_lock(t.devs, NULL), 0);
	assert_int_equal(ask(NBD_READ, 0, 0, 512, b), NBD_ESHUTDOWN);
	assert_int_equal(devs_resume(t.devs, true, &err), 0);
	b[0] = 0;
	assert_int_equal(ask(NBD_READ, 0, 0, 512, b), 0);
	assert_int_equal(b[0], 1);
	assert_int_equal(ask(NBD_READ, 0, 512, 512, b), 0);
	assert_int_equal(b[0], 0);
	/* damaged at each octet: never more than an error */
	assert_int_equal(devs_quiesce(t.devs, &err), 0);
	for (size_t i = 0; i < saved.len; i++) {
		struct rd part = rd_of(saved.data, i);
		assert_true(devs_load(t.devs, &part, &err) < 0);
	}
}

static void test_policies(void **state)
{
	static const struct {
		enum dom_error_policy write, read;
		int code;
		uint32_t write_is, read_is;
	} c[] = {
		{ DOM_ERROR_DEFAULT, DOM_ERROR_DEFAULT, ENOSPC, NBD_ENOSPC, NBD_EIO },
		{ DOM_ERROR_DEFAULT, DOM_ERROR_DEFAULT, EIO, NBD_EIO, NBD_EIO },
		{ DOM_ERROR_REPORT, DOM_ERROR_REPORT, ENOSPC, NBD_EIO, NBD_EIO },
		{ DOM_ERROR_STOP, DOM_ERROR_DEFAULT, EIO, NBD_ENOSPC, NBD_ENOSPC },
		{ DOM_ERROR_IGNORE, DOM_ERROR_IGNORE, EIO, NBD_OK, NBD_OK },
	};
	static const uint8_t zeros[4096];
	uint8_t b[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		devs_free(t.devs);
		t.cfg.disk[0].error_policy = c[i].write;
		t.cfg.disk[0].rerror_policy = c[i].read;
		open_devs();
		assert_int_equal(devs_lock(t.devs, NULL), 0);
		dial();
		handshake();
		atomic_store(&fails, c[i].code);
		memset(b, 9, sizeof(b));
		assert_int_equal(ask(NBD_WRITE, 0, 0, sizeof(b), b), c[i].write_is);
		assert_int_equal(ask(NBD_READ, 0, 0, sizeof(b), b), c[i].read_is);
		if (!c[i].read_is) /* nothing of our memory gets out */
			assert_memory_equal(b, zeros, sizeof(b));
		/* whatever it failed of */
		assert_int_equal(ask(NBD_FLUSH, 0, 0, 0, NULL), NBD_EIO);
		atomic_store(&fails, 0);
	}
}

/* A full disk: QEMU keeps the request, the domain stands still, and goes on when a trial succeeds. */
static void test_hold(void **state)
{
	_cleanup_buf_ struct buf saved = { 0 };
	uint8_t b[512] = { 7 }, got[512];
	const char *name;
	int code;

	(void)state;
	dial();
	handshake();
	atomic_store(&fails, ENOSPC);
	assert_int_equal(ask(NBD_WRITE, 0, 1024, 512, b), NBD_ENOSPC);
	assert_int_equal(ask(NBD_WRITE, 0, 2048, 512, b), NBD_ENOSPC);
	assert_true(eventually(&t.held, 2));
	atomic_store(&fails, 0);
	assert_int_equal(ask(NBD_FLUSH, 0, 0, 0, NULL), 0);
	atomic_store(&fails, ENOSPC);
	assert_true(devs_held(t.devs, &name, &code));
	assert_string_equal(name, "sda");
	assert_int_equal(code, ENOSPC);
	assert_int_equal(devs_quiesce(t.devs, NULL), 0);
	devs_retry(t.devs);
	assert_int_equal(devs_quiesced(t.devs, 20 * NS_PER_S, NULL), 0);
	assert_true(devs_held(t.devs, &name, &code) && !atomic_load(&t.rooms));
	/* of which QEMU's last flush knows nothing */
	assert_int_equal(ask(NBD_FLUSH, 0, 0, 0, NULL), 0);
	assert_int_equal(devs_save(t.devs, &saved, NULL), 0);
	atomic_store(&fails, 0);
	devs_retry(t.devs);
	assert_true(eventually(&t.rooms, 1));
	assert_false(devs_held(t.devs, &name, &code));
	assert_int_equal(pread(t.fd, got, 512, 1024), 512);
	assert_memory_equal(got, b, 512);
	/* where the state goes they know, and the first trial lets QEMU find out */
	struct rd in = rd_of(saved.data, saved.len);
	assert_int_equal(devs_load(t.devs, &in, NULL), 0);
	assert_true(devs_held(t.devs, &name, &code));
	devs_retry(t.devs);
	assert_true(eventually(&t.rooms, 2));
	assert_false(devs_held(t.devs, &name, &code));
	assert_int_equal(devs_resume(t.devs, false, NULL), 0);
	assert_int_equal(ask(NBD_WRITE, 0, 2048, 512, b), 0);
}

/* A trial is under way when somebody lets the guest go on: nothing that comes then is overtaken by it. */
static void test_late_trial(void **state)
{
	uint8_t old[512] = { 1 }, new[512] = { 2 }, got[512];

	(void)state;
	dial();
	handshake();
	atomic_store(&fails, ENOSPC);
	assert_int_equal(ask(NBD_WRITE, 0, 0, 512, old), NBD_ENOSPC);
	assert_int_equal(devs_quiesce(t.devs, NULL), 0);
	atomic_store(&fails, 0);
	atomic_store(&stalls, 1);
	devs_retry(t.devs);
	assert_int_equal(devs_resume(t.devs, false, NULL), 0);
	put_request(NBD_WRITE, 0, 1, 0, 512);
	put(new, 512);
	assert_true(silent(100));
	atomic_store(&stalls, 0);
	assert_int_equal(get_reply(&(uint64_t){ 0 }), 0);
	assert_int_equal(ask(NBD_READ, 0, 0, 512, got), 0);
	assert_memory_equal(got, new, 512);
	assert_int_equal(atomic_load(&t.rooms), 0);
}

static void test_stall(void **state)
{
	const char *name;
	uint64_t age;
	uint8_t b[512] = { 3 };
	struct err err = { 0 };

	(void)state;
	dial();
	handshake();
	atomic_store(&stalls, 1);
	put_request(NBD_WRITE, 0, 5, 0, 512);
	put(b, 512);
	while (!nblk_waits(t.devs, &name, &age))
		usleep(1000);
	assert_string_equal(name, "sda");
	assert_int_equal(devs_quiesce_begin(t.devs, NULL), 0);
	assert_int_equal(devs_quiesced(t.devs, 50 * NS_PER_MS, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "sda"));
	atomic_store(&stalls, 0);
	assert_int_equal(devs_quiesced(t.devs, 20 * NS_PER_S, &err), 0);
	assert_int_equal(get_reply(&age), 0);
	assert_false(nblk_waits(t.devs, &name, &age));
}

/* QEMU dies with requests under way; the next one finds a disk that works. */
static void test_client_dies(void **state)
{
	uint8_t b[4096] = { 4 };

	(void)state;
	for (int how = 0; how < 3; how++) {
		dial();
		handshake();
		atomic_store(&stalls, 1);
		for (uint64_t i = 0; i < 4; i++) {
			put_request(NBD_WRITE, 0, i, i * 4096, 4096);
			put(b, 4096);
		}
		put_request(NBD_WRITE, 0, 9, 0, 4096);
		put(b, how == 2 ? 100 : 4096); /* or in the middle of one */
		if (how == 1)
			usleep(20000);
		close(t.sock);
		t.sock = -1;
		usleep(20000);
		atomic_store(&stalls, 0);
		dial();
		handshake();
		assert_int_equal(ask(NBD_READ, 0, 0, 4096, b), 0);
	}
	assert_int_equal(atomic_load(&t.broken), 0);
}

/* What it leaves unread bounds what is taken from it. */
static void test_reads_nothing(void **state)
{
	struct timeval tv = { .tv_usec = 200000 };
	uint8_t m[28] = "\x25\x60\x95\x13";
	static uint8_t data[1u << 20];
	unsigned sent = 0;

	(void)state;
	dial();
	handshake();
	m[25] = 0x10; /* reads of 1 MiB */
	assert_int_equal(setsockopt(t.sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), 0);
	while (sent < 100000 && send(t.sock, m, sizeof(m), MSG_NOSIGNAL) == sizeof(m))
		sent++;
	assert_true(sent < 100000);
	/* and it goes on when it reads */
	for (int i = 0; i < 8; i++) {
		assert_int_equal(get_reply(&(uint64_t){ 0 }), 0);
		get(data, sizeof(data));
	}
	assert_int_equal(atomic_load(&t.broken), 0);
}

static void test_hostile(void **state)
{
	static uint8_t junk[2048];
	static const uint8_t other_name[] = { 0, 0, 0, 1, 'x', 0, 0 }, long_name[] = { 0xff, 0xff, 0xff, 0xff, 0, 0 },
			     many[] = { 0, 0, 0, 0, 0xff, 0xff };
	uint8_t m[64];
	uint32_t len;

	(void)state;
	for (int how = 0; how < 9; how++) {
		dial();
		if (how < 4) {
			get(m, 18);
			put(how ? "\0\0\0\3" : "\xff\xff\xff\xff", 4);
		} else {
			handshake();
		}
		switch (how) {
		case 1:
			put(junk, 64);
			break;
		case 2:
			put_option(3, NULL, NBD_OPTION_MAX + 1);
			break;
		case 3:
			for (int i = 0; i < 33; i++)
				put_option(3, NULL, 0);
			break;
		case 4:
			put(junk, 28);
			break;
		case 5:
			put_request(NBD_READ, 0, 0, 0, (1u << 20) + 512);
			break;
		case 6:
			put_request(NBD_WRITE, 0, 0, 0, UINT32_MAX);
			break;
		case 7:
			put_request(5, 0, 0, 0, 0);
			break;
		case 8:
			put_request(0xffff, 0, 0, 0, 0);
			break;
		}
		assert_true(hung_up());
		assert_true(eventually(&t.broken, how + 1));
	}
	dial();
	get(m, 18);
	put("\0\0\0\3", 4);
	put_option(NBD_OPT_GO, other_name, sizeof(other_name));
	assert_int_equal(get_option_reply(m, &len), NBD_REP_ERR_UNKNOWN);
	put_option(NBD_OPT_GO, long_name, sizeof(long_name));
	assert_int_equal(get_option_reply(m, &len), NBD_REP_ERR_INVALID);
	put_option(NBD_OPT_GO, many, sizeof(many));
	assert_int_equal(get_option_reply(m, &len), NBD_REP_ERR_INVALID);
	put_option(NBD_OPT_GO, many, 3);
	assert_int_equal(get_option_reply(m, &len), NBD_REP_ERR_INVALID);
	/* one octet after the other is as good as all at once */
	dial();
	get(m, 18);
	for (int i = 0; i < 4; i++)
		put(&"\0\0\0\3"[i], 1);
	put_option(NBD_OPT_INFO, go, sizeof(go));
	assert_int_equal(get_option_reply(m, &len), NBD_REP_INFO);
}

int main(void)
{
	setenv("HOSPES_IO_URING", "0", 1); /* what the wrapped calls see */
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(test_requests), T(test_readonly),    T(test_ownership),
		                            T(test_policies), T(test_hold),        T(test_late_trial),
		                            T(test_stall),    T(test_client_dies), T(test_reads_nothing),
		                            T(test_hostile) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
