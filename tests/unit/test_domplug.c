/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices come and go, with images, leases and locks of files, and an engine that does as the test says: hypervisor/domplug.c. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <sys/mman.h>
#include "common/util.h"
#include "hypervisor/dev/vudev.h"
#include "hypervisor/domcall_int.h"

#define UUID "11111111-2222-3333-4444-555555555555"
#define XML                                                                                                            \
	"<domain type='qemu'><name>g</name><uuid>" UUID                                                                \
	"</uuid><memory unit='MiB'>64</memory><os><type>hvm</type></os>"                                               \
	"<devices><disk type='file' device='disk'><source file='%s/a.img'/><target dev='vda'/></disk></devices></domain>"
#define DISK "<disk type='file' device='disk'><source file='%s/b.img'/><target dev='vdb'/></disk>"

static struct domain d;
static struct hv_engine_ops ops;
static char *dir;
static struct {
	int plug, unplug;        /* what the engine answers */
	unsigned plugged, asked; /* the places that it was told of last */
	int pend, reply, fail;   /* calls that were answered: pending ones' result; DETACH's */
	char text[ERR_TEXT_MAX];
} w;

/* In place of stop.c's, domcall.c's and hvserver.c's. */
int domain_waits_err(const struct domain *dom, int code, const char *text, struct err *err)
{
	(void)dom;
	return err_set(err, code, "%s", text ? text : "waits");
}
void domain_pend_done(struct domain *dom, int r, struct err *err)
{
	(void)dom, (void)err;
	w.pend = r;
}
void hvconn_reply(struct hvconn *c, uint16_t op, uint64_t cookie, const void *payload, size_t len, const int *fds,
                  size_t n_fds)
{
	(void)c, (void)op, (void)cookie, (void)payload, (void)len, (void)fds, (void)n_fds;
	w.reply++;
}
void hvconn_fail(struct hvconn *c, uint16_t op, uint64_t cookie, const struct err *err)
{
	(void)c, (void)op, (void)cookie;
	w.fail = err->code;
	snprintf(w.text, sizeof(w.text), "%s", err->text);
}

static int plug(void *vm, const struct hv_plug *p, struct err *err)
{
	(void)vm;
	w.plugged = p->disk ? p->disk->place : p->nic->place;
	return w.plug ? err_set(err, -w.plug, "the engine refuses") : 0;
}

static int unplug(void *vm, unsigned place, struct err *err)
{
	(void)vm;
	w.asked = place;
	return w.unplug ? err_set(err, -w.unplug, "the engine refuses") : 0;
}

static char *in_dir(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void make_file(const char *name, off_t bytes)
{
	_cleanup_free_ char *path = in_dir(name);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && ftruncate(fd, bytes) == 0);
}

static int set_up(void **state)
{
	_cleanup_free_ char *xml = NULL;
	struct err err = { 0 };

	(void)state;
	memset(&w, 0, sizeof(w));
	w.pend = 1;
	dir = test_dir_new();
	setenv("HOSPES_STATEDIR", dir, 1);
	setenv("HOSPES_IO_URING", "0", 1);
	make_file("a.img", 1 << 20);
	make_file("b.img", 1 << 20);
	ops = (struct hv_engine_ops){ .plug = plug, .unplug = unplug };
	d = (struct domain){ .ops = &ops, .loop = loop_new(), .state = HV_DOM_RUNNING, .owner = true, .generation = 7 };
	snprintf(d.host, sizeof(d.host), "host-a");
	d.slow = slow_new(d.loop);
	xml = xasprintf(XML, dir);
	if (dom_config_parse(xml, strlen(xml), "test", &d.cfg, &err) ||
	    devs_new(d.cfg, &vuqemu_transport, NULL, &d.devs, &err) || leases_open(&d.leases, d.cfg, getuid(), &err) ||
	    devs_start(d.devs, &err) || devs_lock(d.devs, &err))
		fail_msg("%s", err.text);
	d.cfg->hvm.places = 8;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	domain_plug_done(&d);
	slow_free(d.slow);
	devs_free(d.devs);
	leases_done(&d.leases);
	dom_config_free(d.cfg);
	loop_free(d.loop);
	test_dir_remove(dir);
	return 0;
}

/* Until nothing is coming or going. */
static void settle(void)
{
	for (unsigned i = 0; i < 1000 && domain_plug_busy(&d, NULL); i++)
		(void)loop_run_once(d.loop, 10);
	assert_int_equal(domain_plug_busy(&d, NULL), 0);
}

static int attach(const char *xml, bool lease, struct err *err)
{
	_cleanup_free_ char *lease_path = in_dir("b.img.lease"), *image = in_dir("b.img");
	struct hv_attach_req req = { .xml_bytes = strlen(xml) };
	static __typeof__(*(struct call){ 0 }.rep) rep;
	int fds[3] = { memfd_create("xml", MFD_CLOEXEC), -1, -1 };
	struct call c = { .d = &d, .req = &req, .fds = fds, .rep = &rep };

	assert_int_equal(write_full(fds[0], xml, strlen(xml)), 0);
	c.n_fds = 1;
	if (lease)
		fds[c.n_fds++] = open(lease_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	fds[c.n_fds++] = open(image, O_RDWR | O_CLOEXEC);
	w.pend = 1;
	int r = call_attach(&c, err);
	if (r == -EINPROGRESS) {
		for (unsigned i = 0; i < 1000 && w.pend > 0; i++)
			(void)loop_run_once(d.loop, 10);
		r = w.pend;
	}
	for (size_t i = 0; i < c.n_fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return r;
}

static int attach_b(struct err *err)
{
	_cleanup_free_ char *xml = xasprintf(DISK, dir);

	return attach(xml, true, err);
}

static int detach(const char *name, struct err *err)
{
	struct hv_detach_req req = { 0 };
	struct call c = { .d = &d, .req = &req, .conn = (struct hvconn *)&w };

	snprintf(req.device, sizeof(req.device), "%s", name);
	w.reply = w.fail = 0;
	int r = call_detach(&c, err);
	assert_int_equal(c.later, r == 0);
	return r;
}

static bool lease_says(const char *what)
{
	_cleanup_free_ char *path = in_dir("b.img.lease"), *text = NULL;
	size_t len = 0;

	return !file_read(path, 4096, &text, &len) && memmem(text, len, what, strlen(what));
}

static bool is_locked(void)
{
	_cleanup_free_ char *path = in_dir("b.img");
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &fl) < 0;
}

static void nothing_is_left(void)
{
	settle();
	assert_int_equal(d.cfg->n_disks, 1);
	assert_int_equal(d.leases.n, 2);
	assert_false(is_locked());
	assert_false(lease_says("hospes"));
	assert_null(d.plug.v);
}

static void test_disk(void **state)
{
	struct err err = { 0 };
	size_t n = devs_count(d.devs);

	(void)state;
	if (attach_b(&err))
		fail_msg("%s", err.text);
	assert_int_equal(w.plugged, 1);
	assert_int_equal(d.pend.attached.place, 1);
	assert_string_equal(d.pend.attached.name, "vdb");
	assert_int_equal(devs_count(d.devs), n + 1);
	assert_string_equal(devs_name(d.devs, 1), "vdb");
	assert_int_equal(d.cfg->n_disks, 2);
	assert_int_equal(d.leases.n, 3);
	assert_true(is_locked());
	assert_true(lease_says(" 7 running host-a"));
	assert_int_equal(attach_b(&err), -EINVAL); /* twice */
	/* it is asked, and lets go */
	assert_int_equal(detach("vdb", &err), 0);
	assert_int_equal(w.asked, 1);
	assert_int_equal(detach("vdb", &err), -EBUSY);
	assert_int_equal(attach_b(&err), -EBUSY);
	domain_unplugged(&d, 1, NULL);
	nothing_is_left();
	assert_int_equal(w.reply, 1);
	assert_int_equal(devs_count(d.devs), n);
	assert_int_equal(attach_b(&err), 0);
}

static void test_refusals(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(detach("vda", &err), -EOPNOTSUPP);
	assert_int_equal(detach("vdq", &err), -ENOENT);
	assert_int_equal(attach("<rng model='virtio'/>", false, &err), -EINVAL);
	assert_int_equal(
		attach("<disk type='file' device='disk'><source file='/x'/><target dev='sdb' bus='sata'/></disk>",
	               false, &err),
		-ENOTSUP);
	assert_int_equal(attach("", false, &err), -EINVAL);
	d.cfg->hvm.places = 0;
	assert_int_equal(attach_b(&err), -ENOTSUP);
	d.cfg->hvm.places = 8;
	d.logdirty_mode = 1;
	assert_int_equal(attach_b(&err), -EBUSY);
	d.logdirty_mode = 0;
	d.mapper = (struct hvconn *)&w;
	assert_int_equal(attach_b(&err), -EBUSY);
	d.mapper = NULL;
	assert_false(is_locked());
	/* the lease's descriptor is missing */
	_cleanup_free_ char *xml = xasprintf(DISK, dir);
	assert_int_not_equal(attach(xml, false, &err), 0);
	nothing_is_left();
}

/* After each step that fails nothing is left of those before it. */
static void test_failures(void **state)
{
	_cleanup_free_ char *image = in_dir("b.img"), *lease = in_dir("b.img.lease");
	static const char other[] = "hospes-lease 1 1 99999999-2222-3333-4444-555555555555 3 running host-z ";
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct err err = { 0 };

	(void)state;
	w.plug = -EREMOTEIO;
	assert_int_equal(attach_b(&err), -EREMOTEIO);
	nothing_is_left();
	w.plug = 0;
	int fd = open(image, O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	assert_int_equal(attach_b(&err), -EAGAIN);
	close(fd);
	nothing_is_left();
	fd = open(lease, O_RDWR | O_CLOEXEC);
	assert_int_equal(write_full(fd, other, strlen(other)), 0);
	assert_int_equal(attach_b(&err), -EINVAL);
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	nothing_is_left();
	assert_int_equal(attach_b(&err), 0);
}

/* The guest says no, says nothing, ends, lets go unasked. */
static void test_guest_decides(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(attach_b(&err), 0);
	assert_int_equal(detach("vdb", &err), 0);
	domain_unplugged(&d, 1, "it refuses");
	assert_int_equal(w.fail, EBUSY);
	assert_true(is_locked());
	assert_int_equal(detach("vdb", &err), 0);
	domain_plug_ended(&d);
	assert_int_equal(w.fail, ECANCELED);
	w.unplug = -EREMOTEIO;
	assert_int_equal(detach("vdb", &err), -EREMOTEIO);
	assert_int_equal(domain_plug_busy(&d, NULL), 0);
	w.unplug = 0;
	/* who asked is gone */
	assert_int_equal(detach("vdb", &err), 0);
	domain_plug_left(&d, (struct hvconn *)&w);
	assert_int_not_equal(domain_plug_busy(&d, NULL), 0);
	domain_unplugged(&d, 1, NULL);
	nothing_is_left();
	assert_int_equal(w.reply, 0);
	assert_int_equal(attach_b(&err), 0);
	domain_unplugged(&d, 5, NULL); /* nothing is there */
	domain_unplugged(&d, 1, NULL);
	nothing_is_left();
}

/* The end of the domain while a disk leaves: its lease is empty all the same. */
static void test_end(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(attach_b(&err), 0);
	domain_unplugged(&d, 1, NULL);
	domain_plug_done(&d);
	d.plug.timer = d.plug.again = NULL;
	assert_false(lease_says("hospes"));
	assert_int_equal(d.plug.n_leaving, 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(test_disk), T(test_refusals), T(test_failures), T(test_guest_decides),
		                            T(test_end) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
