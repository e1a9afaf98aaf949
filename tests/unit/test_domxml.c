/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of hypervisor/api/xml/. xml/good/NAME.xml is written back as NAME.out (after reading it with and without change) and
 * validated against libvirt's schema; xml/bad/NAME.xml is refused with the message in NAME.err.
 * GOLDEN_UPDATE=1 writes the .out files anew: look at the difference before committing it.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "common/buf.h"
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/domcfg.h"

static char *folder(const char *name)
{
	return xasprintf("%s/tests/unit/xml/%s", getenv("top_srcdir") ?: ".", name);
}

static char *slurp(const char *path)
{
	char *text = NULL;

	if (file_read(path, 4 << 20, &text, NULL) < 0)
		fail_msg("%s: cannot read", path);
	return text;
}

/* Call @fn for each file of @dir that ends in .xml. Returns how many there were. */
static unsigned for_each_xml(const char *dir, void (*fn)(const char *dir, const char *base))
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	if (!d)
		fail_msg("%s: cannot open", dir);
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name);
		_cleanup_free_ char *base = strdup(e->d_name);

		if (len < 5 || strcmp(e->d_name + len - 4, ".xml"))
			continue;
		base[len - 4] = 0;
		fn(dir, base);
		n++;
	}
	closedir(d);
	return n;
}

static struct dom_config *load(const char *text, const char *origin)
{
	struct dom_config *cfg = NULL;
	struct err err = { 0 };

	if (dom_config_parse(text, strlen(text), origin, &cfg, &err) < 0)
		fail_msg("%s", err.text);
	return cfg;
}

static char *format(const struct dom_config *cfg)
{
	char *text = NULL;

	struct err err = { 0 };

	if (dom_config_format(cfg, &text, &err) < 0)
		fail_msg("%s", err.text);
	return text;
}

static void validate(const char *xml)
{
	char *dir = test_dir_new();
	_cleanup_free_ char *path = xasprintf("%s/domain.xml", dir);
	_cleanup_free_ char *cmd = xasprintf("virt-xml-validate %s domain >%s/log 2>&1 || { cat %s/log >&2; exit 1; }",
	                                     path, dir, dir);

	assert_int_equal(file_write_atomic(path, xml, strlen(xml), 0600), 0);
	if (system(cmd))
		fail_msg("does not validate:\n%s", xml);
	test_dir_remove(dir);
}

static bool have_validator;

static void check_good(const char *dir, const char *base)
{
	_cleanup_free_ char *in = xasprintf("%s/%s.xml", dir, base), *golden = xasprintf("%s/%s.out", dir, base);
	_cleanup_free_ char *text = slurp(in), *want = NULL, *got = NULL, *again = NULL;
	_cleanup_dom_config_ struct dom_config *cfg = load(text, base), *cfg2 = NULL;
	_cleanup_buf_ struct buf out = { 0 };

	got = format(cfg);
	for (size_t i = 0; i < cfg->n_unknown; i++) {
		buf_put(&out, "unknown: ", 9);
		buf_put(&out, cfg->unknown[i], strlen(cfg->unknown[i]));
		buf_put_u8(&out, '\n');
	}
	for (size_t i = 0; i < cfg->n_notes; i++) {
		buf_put(&out, "note: ", 6);
		buf_put(&out, cfg->note[i], strlen(cfg->note[i]));
		buf_put_u8(&out, '\n');
	}
	buf_put(&out, got, strlen(got) + 1);
	if (getenv("GOLDEN_UPDATE"))
		assert_int_equal(file_write_atomic(golden, out.data, out.len - 1, 0644), 0);
	want = slurp(golden);
	if (strcmp(want, (char *)out.data))
		fail_msg("%s: written differently from %s:\n%s", in, golden, (char *)out.data);
	/* what we write we read, and write the same again */
	cfg2 = load(got, "written");
	again = format(cfg2);
	assert_string_equal(got, again);
	if (have_validator)
		validate(got);
}

static void check_bad(const char *dir, const char *base)
{
	_cleanup_free_ char *in = xasprintf("%s/%s.xml", dir, base), *expect = xasprintf("%s/%s.err", dir, base);
	_cleanup_free_ char *text = slurp(in), *want = slurp(expect), *origin = xasprintf("%s.xml", base);
	struct dom_config *cfg = (struct dom_config *)(uintptr_t)1;
	struct err err = { 0 };
	int r = dom_config_parse(text, strlen(text), origin, &cfg, &err);

	want[strcspn(want, "\n")] = 0;
	if (r != -EINVAL || strcmp(want, err.text))
		fail_msg("%s: returned %d\n got: %s\nwant: %s", in, r, err.text, want);
	assert_ptr_equal(cfg, (void *)1); /* untouched on failure */
}

static void test_good(void **state)
{
	_cleanup_free_ char *dir = folder("good");

	(void)state;
	have_validator = !system("command -v virt-xml-validate >/dev/null && command -v xmllint >/dev/null");
	if (!have_validator)
		print_message(
			"not validated: virt-xml-validate (libvirt-clients) or xmllint (libxml2-utils) is missing\n");
	assert_true(for_each_xml(dir, check_good) >= 4);
}

static void test_bad(void **state)
{
	_cleanup_free_ char *dir = folder("bad");

	(void)state;
	assert_true(for_each_xml(dir, check_bad) >= 50);
}

static void test_values(void **state)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0xab, 0xcd, 0x01 };
	_cleanup_free_ char *path = folder("good/full.xml");
	_cleanup_dom_config_ struct dom_config *c = NULL;
	struct err err = { 0 };

	(void)state;
	if (dom_config_load(path, &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(c->type, DOM_TYPE_UML);
	assert_string_equal(c->name, "web.prod_1");
	assert_string_equal(c->title, "Web server & cache");
	assert_true(c->memory_bytes == 2ull << 30);
	assert_true(c->current_memory_bytes == 1000001536); /* 1000 MB, rounded up to a page */
	assert_string_equal(c->initrd, "/var/lib/hospes/guests/small.cpio.gz");
	assert_int_equal(c->clock, DOM_CLOCK_LOCALTIME);
	assert_int_equal(c->on_poweroff, DOM_ACTION_PRESERVE);
	assert_int_equal(c->on_reboot, DOM_ACTION_DESTROY);
	assert_int_equal(c->on_crash, DOM_ACTION_RESTART);
	assert_int_equal(c->n_disks, 2);
	assert_int_equal(c->disk[0].cache, DOM_CACHE_NONE);
	assert_true(c->disk[0].discard && !c->disk[0].shareable);
	assert_string_equal(c->disk[0].serial, "WEB-1");
	assert_int_equal(c->disk[1].type, DOM_DISK_BLOCK);
	assert_true(c->disk[1].shareable);
	assert_int_equal(c->n_nics, 2);
	assert_memory_equal(c->nic[0].mac, mac, 6);
	assert_int_equal(c->nic[0].mtu, 9000);
	assert_string_equal(c->nic[0].target, "tap-web");
	assert_int_equal(c->nic[1].type, DOM_NIC_ETHERNET);
	assert_false(c->nic[1].mac_given);
	assert_int_equal(c->n_consoles, 2);
	assert_string_equal(c->console[0].log, "/var/log/hospes/web.log");
	assert_string_equal(c->console[1].path, "/var/log/hospes/web-2.log");
	assert_int_equal(c->n_rngs, 1);
	assert_true(c->balloon);
	assert_int_equal(c->watchdog, DOM_WATCHDOG_POWEROFF);
	assert_string_equal(c->seclabel, "static/chinese-wall/bank/a");
}

#define HEAD "<domain type='uml'><name>g</name><memory>65536</memory><os><type>linux</type></os>"

/* The processor that a guest got at its start is in what is written: for its next host. */
static void test_set_cpu(void **state)
{
	_cleanup_free_ char *path = folder("good/machine-linux.xml"), *text = NULL;
	_cleanup_dom_config_ struct dom_config *c = NULL, *back = NULL;
	struct dom_cpu cpu = { .mode = DOM_CPU_CUSTOM,
		               .model = "qemu64",
		               .n_features = 2,
		               .feature = { { "avx2", DOM_CPU_REQUIRE }, { "svm", DOM_CPU_DISABLE } },
		               .sockets = 1,
		               .dies = 1,
		               .cores = 2,
		               .threads = 1 };
	struct err err = { 0 };

	(void)state;
	if (dom_config_load(path, &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(dom_config_cpu_is_hosts(c));
	assert_int_equal(dom_config_set_cpu(c, &cpu), 0);
	assert_false(dom_config_cpu_is_hosts(c));
	text = format(c);
	back = load(text, "written");
	assert_memory_equal(&back->hvm.cpu, &cpu, sizeof(cpu));
	if (have_validator)
		validate(text);
	/* once more, with others: nothing of before is left */
	cpu.n_features = 1;
	assert_int_equal(dom_config_set_cpu(c, &cpu), 0);
	free(text);
	text = format(c);
	assert_null(strstr(text, "svm"));
}

static void test_generated_values_stay(void **state)
{
	static const char xml[] = HEAD
		"<devices><interface type='ethernet'/><interface type='ethernet'/></devices></domain>";
	_cleanup_dom_config_ struct dom_config *a = load(xml, "a"), *b = load(xml, "b"), *c = NULL;
	_cleanup_free_ char *text = format(a);

	(void)state;
	assert_string_not_equal(a->uuid, b->uuid);
	assert_int_equal(a->uuid[14], '4');
	assert_memory_not_equal(a->nic[0].mac, a->nic[1].mac, 6);
	c = load(text, "c");
	assert_string_equal(a->uuid, c->uuid);
	assert_memory_equal(a->nic[1].mac, c->nic[1].mac, 6);
	assert_true(c->nic[1].mac_given);
}

/* Changes of the struct win over the document; one that never had a document is written from nothing. */
static void test_changed_struct(void **state)
{
	static const char xml[] = HEAD
		"<title>old</title><devices><disk type='file'><source file='/d'/><target dev='vda'/>"
		"<readonly/></disk><console/></devices></domain>";
	_cleanup_dom_config_ struct dom_config *a = load(xml, "a"), *b = NULL, *c = NULL;
	_cleanup_free_ char *text = NULL, *text2 = NULL;
	void *doc;

	(void)state;
	strcpy(a->name, "renamed");
	free(steal_ptr(&a->title));
	a->memory_bytes = 1ull << 30;
	a->disk[0].type = DOM_DISK_BLOCK;
	a->disk[0].readonly = false;
	a->disk[1] = (struct dom_disk){ .type = DOM_DISK_FILE, .source = strdup("/e"), .target = "vdb" };
	a->n_disks = 2;
	a->n_consoles = 0;
	a->n_rngs = 1;
	a->watchdog = DOM_WATCHDOG_NONE;
	a->n_nics = 1;
	a->nic[0] = (struct dom_nic){
		.type = DOM_NIC_BRIDGE, .bridge = "br0", .mac = { 0x52, 0x54, 0, 1, 2, 3 }, .mtu = 1400
	};
	text = format(a);
	b = load(text, "b");
	assert_string_equal(b->name, "renamed");
	assert_null(b->title);
	assert_true(b->memory_bytes == 1ull << 30);
	assert_int_equal(b->disk[0].type, DOM_DISK_BLOCK);
	assert_string_equal(b->disk[0].source, "/d");
	assert_false(b->disk[0].readonly);
	assert_string_equal(b->disk[1].source, "/e");
	assert_int_equal(b->n_consoles, 0);
	assert_int_equal(b->n_rngs, 1);
	assert_int_equal(b->watchdog, DOM_WATCHDOG_NONE);
	assert_int_equal(b->nic[0].mtu, 1400);
	doc = b->doc;
	b->doc = NULL;
	b->console[0].type = DOM_CHAR_PTY;
	b->n_consoles = 1;
	b->seclabel = strdup("static/wall/bank/a");
	text2 = format(b);
	b->doc = doc;
	if (have_validator) {
		validate(text);
		validate(text2);
	}
	c = load(text2, "c");
	assert_string_equal(c->uuid, a->uuid);
	assert_int_equal(c->n_disks, 2);
	assert_int_equal(c->n_consoles, 1);
	assert_string_equal(c->seclabel, "static/wall/bank/a");
}

/* What would not be read again, or differently, is not written. */
static void test_written_is_read_again(void **state)
{
	static const struct {
		const char *what, *head, *unit, *tail;
		size_t times;
		int status;
		const char *text;
	} cases[] = {
		{ "indented past the limit", HEAD "<metadata><x:x xmlns:x='x'>", "<a/>", "</x:x></metadata></domain>",
		  200000, -E2BIG, "and may have 1048576 (1 MiB)" },
		{ "escaped past the limit", HEAD "<description><![CDATA[", ">>>>", "]]></description></domain>", 200000,
		  -E2BIG, "octets when it is written" },
		{ "more = in a text than in an element's attributes", HEAD "<description><![CDATA[", "<=",
		  "]]></description></domain>", 20000, -EINVAL, "could not be read again: as written: an element" },
		{ "white space lost", HEAD "<metadata><x:x xmlns:x='x'>", "<a/>&#32;<b/>", "</x:x></metadata></domain>",
		  1, -EINVAL, "read differently" },
		{ "none of these", HEAD "<metadata><x:x xmlns:x='x'>", "<a/>", "</x:x></metadata></domain>", 20000, 0,
		  "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_dom_config_ struct dom_config *cfg = NULL;
		_cleanup_buf_ struct buf b = { 0 };
		_cleanup_free_ char *text = NULL;
		struct err err = { 0 };

		buf_put(&b, cases[i].head, strlen(cases[i].head));
		for (size_t k = 0; k < cases[i].times; k++)
			buf_put(&b, cases[i].unit, strlen(cases[i].unit));
		buf_put(&b, cases[i].tail, strlen(cases[i].tail) + 1);
		cfg = load((char *)b.data, cases[i].what);
		if (dom_config_format(cfg, &text, &err) != cases[i].status || !strstr(err.text, cases[i].text))
			fail_msg("%s: %s", cases[i].what, err.text);
		assert_true(cases[i].status ? !text : !!text);
	}
}

/* The same for a struct that was changed. */
static void test_changed_is_read_again(void **state)
{
	static const char xml[] = HEAD
		"<title>tt</title><devices><interface type='ethernet'/><interface type='ethernet'/></devices></domain>";
	static char bad_kernel[] = "/a\nb", *good_kernel;
	_cleanup_dom_config_ struct dom_config *cfg = load(xml, "xml");
	_cleanup_free_ char *text = NULL;
	struct err err = { 0 };
	struct dom_nic nic = cfg->nic[0];

	(void)state;
	memcpy(cfg->nic[0].mac, cfg->nic[1].mac, sizeof(cfg->nic[0].mac));
	assert_int_equal(dom_config_format(cfg, &text, &err), -EINVAL);
	assert_non_null(strstr(err.text, "MAC address is given twice"));
	cfg->nic[0] = nic;
	good_kernel = cfg->kernel;
	cfg->kernel = bad_kernel;
	assert_int_equal(dom_config_format(cfg, &text, &err), -EINVAL);
	cfg->kernel = good_kernel;
	cfg->title[0] = ' '; /* read without it */
	assert_int_equal(dom_config_format(cfg, &text, &err), -EINVAL);
	assert_non_null(strstr(err.text, "differently"));
	assert_null(text);
	cfg->title[0] = 't';
	assert_int_equal(dom_config_format(cfg, &text, &err), 0);
}

#define UUID "6695eb01-f6a4-8304-79aa-97f2502e193f"

#define PLUG_HEAD                                                                                                           \
	"<domain type='qemu'><name>g</name><uuid>11111111-2222-3333-4444-555555555555</uuid><memory unit='MiB'>64</memory>" \
	"<os><type machine='%s'>hvm</type></os><devices>%s</devices></domain>"

static struct dom_config *plug_config(const char *machine, const char *devices)
{
	_cleanup_free_ char *xml = xasprintf(PLUG_HEAD, machine, devices);
	struct dom_config *cfg = NULL;
	struct err err = { 0 };

	if (dom_config_parse(xml, strlen(xml), "test", &cfg, &err))
		fail_msg("%s", err.text);
	return cfg;
}

static int attach(struct dom_config *cfg, const char *xml, unsigned place, struct dom_device *dev, struct err *err)
{
	struct dom_config *next = NULL;
	int r = dom_config_attach(cfg, xml, strlen(xml), "dev.xml", place, &next, dev, err);

	if (!r)
		dom_config_swap_devices(cfg, next);
	dom_config_free(next);
	return r;
}

/* Devices come and go in struct and document, at the first place that is free. */
static void test_plug(void **state)
{
	static const char vdb[] =
		"<disk type='file' device='disk'><source file='/b'/><target dev='vdb' bus='virtio'/></disk>",
			  vdc[] = "<disk type='block' device='disk'><source dev='/dev/c'/><target dev='vdc'/></disk>",
			  nic[] = "<interface type='bridge'><source bridge='br0'/></interface>";
	static const struct {
		const char *xml, *text;
		int r;
	} wrong[] = {
		{ "<disk type='file' device='disk'><source file='/x'/><target dev='vda'/></disk>", "given twice",
		  -EINVAL },
		{ "<disk type='file' device='cdrom'><target dev='vdx'/></disk>", "medium", -EINVAL },
		{ "<disk type='file'><source file='/x'/><target dev='vdx'/><encryption/></disk>", "encryption",
		  -EINVAL },
		{ "<rng model='virtio'/>", "only disks and interfaces", -EINVAL },
		{ "<disk>", "XML", -EINVAL },
		{ "", "XML", -EINVAL },
		{ "<interface type='user'/>", "not supported", -EINVAL },
	};
	_cleanup_dom_config_ struct dom_config *cfg =
		plug_config("q35", "<disk type='file' device='disk'><source file='/a'/><target dev='vda'/></disk>");
	struct dom_config *next = NULL;
	struct dom_device dev;
	struct err err = { 0 };

	(void)state;
	cfg->hvm.places = 8;
	assert_int_equal(attach(cfg, vdb, 0, &dev, &err), 0);
	assert_true(!dev.nic && dev.index == 1 && dev.place == 1);
	assert_int_equal(attach(cfg, nic, 5, &dev, &err), 0);
	assert_true(dev.nic && dev.index == 0 && dev.place == 5);
	assert_int_equal(attach(cfg, vdc, 5, &dev, &err), 0); /* taken: the first that is free */
	assert_int_equal(dev.place, 2);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(attach(cfg, wrong[i].xml, 0, &dev, &err), wrong[i].r);
		if (!strstr(err.text, wrong[i].text))
			fail_msg("%s: %s", wrong[i].xml, err.text);
	}
	assert_true(dom_config_device(cfg, "vdb", &dev));
	assert_int_equal(dom_config_detach(cfg, &dev, &next, &err), 0);
	dom_config_swap_devices(cfg, next);
	dom_config_free(next);
	assert_int_equal(cfg->n_disks, 2);
	assert_string_equal(cfg->disk[1].target, "vdc");
	assert_int_equal(cfg->disk[1].place, 2);
	assert_false(dom_config_device(cfg, "vdb", &dev));
	/* and so says the document */
	_cleanup_free_ char *xml = NULL;
	assert_int_equal(dom_config_format(cfg, &xml, &err), 0);
	assert_non_null(strstr(xml, "places=\"8\""));
	assert_non_null(strstr(xml, "ua-hospes-place5"));
	assert_null(strstr(xml, "vdb"));
	_cleanup_dom_config_ struct dom_config *back = NULL;
	assert_int_equal(dom_config_parse(xml, strlen(xml), "again", &back, &err), 0);
	assert_int_equal(back->hvm.places, 8);
	assert_int_equal(back->nic[0].place, 5);
}

static void test_places(void **state)
{
	static const char *const bad[] = {
		"<disk type='file' device='disk'><source file='/a'/><target dev='vda'/><alias name='ua-hospes-place9'/></disk>",
		"<disk type='file' device='disk'><source file='/a'/><target dev='vda'/><alias name='ua-hospes-place0'/></disk>",
		"<disk type='file' device='disk'><source file='/a'/><target dev='vda'/><alias name='ua-hospes-place1'/></disk>"
		"<disk type='file' device='disk'><source file='/b'/><target dev='vdb'/><alias name='ua-hospes-place1'/></disk>",
		"<disk type='file' device='disk'><source file='/a'/><target dev='vda'/><alias name='ua-hospes-place'/></disk>",
	};
	_cleanup_dom_config_ struct dom_config *cfg = plug_config("pc", "");
	char disk[200], key[20];
	struct dom_device dev;
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_free_ char *xml = xasprintf(PLUG_HEAD, "q35", bad[i]);
		struct dom_config *no = NULL;
		assert_int_equal(dom_config_parse(xml, strlen(xml), "test", &no, &err), -EINVAL);
	}
	for (unsigned i = 0; i < 5; i++) {
		snprintf(disk, sizeof(disk),
		         "<disk type='file' device='disk'><source file='/%u'/><target dev='vd%c'/></disk>", i, 'a' + i);
		assert_int_equal(attach(cfg, disk, 0, &dev, &err), i < 4 ? 0 : -ENOSPC);
	}
	/* a disk on a controller needs no place */
	assert_int_equal(
		attach(cfg, "<disk type='file' device='disk'><source file='/s'/><target dev='sdb' bus='scsi'/></disk>",
	               0, &dev, &err),
		-ENOSPC);
	cfg->disk[3].place = 0;
	assert_int_equal(
		attach(cfg, "<disk type='file' device='disk'><source file='/s'/><target dev='sdb' bus='scsi'/></disk>",
	               0, &dev, &err),
		0);
	assert_int_equal(dev.place, 0);
	/* what names a device */
	assert_int_equal(dom_device_key(disk, strlen(disk), "x", key, &err), 0);
	assert_string_equal(key, "vde");
	assert_int_equal(dom_device_key("<interface><mac address='52:54:00:00:00:01'/></interface>", 57, "x", key,
	                                &err),
	                 0);
	assert_string_equal(key, "52:54:00:00:00:01");
	assert_int_equal(dom_device_key("<interface/>", 12, "x", key, &err), -EINVAL);
	/* user-mode guests have none */
	cfg->type = DOM_TYPE_UML;
	assert_int_equal(dom_config_places(cfg), 0);
}

static void test_uuid_given(void **state)
{
	static const struct {
		const char *xml;
		bool given;
	} t[] = {
		{ HEAD "</domain>", false },
		{ HEAD "<uuid>" UUID "</uuid></domain>", true },
		{ HEAD "<!-- <uuid>" UUID "</uuid> --></domain>", false },
		{ HEAD "<metadata><x:x xmlns:x='x'><uuid>" UUID "</uuid></x:x></metadata></domain>", false },
		{ HEAD "<description><![CDATA[<uuid>" UUID "</uuid>]]></description></domain>", false },
		{ HEAD "<uuid xmlns='x'>" UUID "</uuid></domain>", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_buf_ struct buf wide = { 0 };
		_cleanup_dom_config_ struct dom_config *a = load(t[i].xml, "uuid"), *b = NULL;

		buf_put(&wide, "\xff\xfe", 2);
		for (const char *s = t[i].xml; *s; s++) {
			buf_put_u8(&wide, (uint8_t)*s);
			buf_put_u8(&wide, 0);
		}
		assert_int_equal(dom_config_parse((char *)wide.data, wide.len, "UTF-16", &b, NULL), 0);
		if (a->uuid_given != t[i].given || b->uuid_given != t[i].given)
			fail_msg("%s: uuid given: %d, in UTF-16 %d", t[i].xml, a->uuid_given, b->uuid_given);
		assert_true(!strcmp(a->uuid, UUID) == t[i].given);
	}
}

/* MAC addresses follow from uuid and place in the list, and give way to those that are given. */
static void test_macs(void **state)
{
	static const char two[] = HEAD
		"<devices><interface type='ethernet'/><interface type='ethernet'/></devices></domain>";
	_cleanup_dom_config_ struct dom_config *a = load(two, "a"), *b = load(two, "b"), *c = NULL;
	_cleanup_free_ char *xml = NULL, *text = NULL;
	const uint8_t *m = a->nic[0].mac;

	(void)state;
	dom_config_set_uuid(a, UUID);
	dom_config_set_uuid(b, UUID);
	assert_string_equal(a->uuid, UUID);
	assert_memory_equal(a->nic[0].mac, b->nic[0].mac, 6);
	assert_memory_equal(a->nic[1].mac, b->nic[1].mac, 6);
	/* the first one's address given to the second one: what was generated for the first is taken */
	xml = xasprintf(HEAD "<uuid>" UUID "</uuid><devices><interface type='ethernet'/><interface type='ethernet'>"
	                     "<mac address='%02x:%02x:%02x:%02x:%02x:%02x'/></interface></devices></domain>",
	                m[0], m[1], m[2], m[3], m[4], m[5]);
	c = load(xml, "c");
	assert_memory_equal(c->nic[1].mac, a->nic[0].mac, 6);
	assert_memory_not_equal(c->nic[0].mac, c->nic[1].mac, 6);
	assert_memory_not_equal(c->nic[0].mac, a->nic[1].mac, 6);
	dom_config_set_uuid(c, c->uuid);
	text = format(c);
	assert_non_null(strstr(text, UUID));
}

/* What looks like ours and is another's is listed with its namespace; what is read and not heeded is listed, too. */
static void test_unused(void **state)
{
	static const char xml[] = HEAD "<devices><disk xmlns='urn:x' type='file'/><o:disk xmlns:o='urn:x'/>"
				       "<console><log file='/l' append='off'/></console></devices></domain>";
	static const char *const unknown[] = { "domain/devices/disk of namespace urn:x", "domain/devices/o:disk",
		                               "domain/devices/console/log/@append" };
	_cleanup_dom_config_ struct dom_config *cfg = load(xml, "xml");

	(void)state;
	assert_int_equal(cfg->n_disks, 0);
	assert_int_equal(cfg->n_unknown, ARRAY_SIZE(unknown));
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		assert_string_equal(cfg->unknown[i], unknown[i]);
}

static void test_limits(void **state)
{
	static const struct {
		const char *type, *memory, *vcpus, *text; /* NULL: it can run */
	} t[] = {
		{ "uml", "<memory unit='MiB'>32</memory>", "", NULL },
		{ "uml", "<memory unit='b'>33550337</memory>", "", NULL }, /* rounded up */
		{ "uml", "<memory unit='KiB'>32764</memory>", "", "32764 KiB of memory" },
		{ "uml", "<memory>512</memory>", "", "the unit is KiB" },
		{ "uml", "<memory unit='MiB'>64</memory>", "<vcpu>2</vcpu>",
		  "asks for 2 vCPUs; guests of engine pv have at most 1" },
		{ "kvm", "<memory unit='MiB'>31</memory>", "", "at least 32 MiB" },
		{ "kvm", "<memory unit='MiB'>64</memory>", "<vcpu>2</vcpu>", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_free_ char *xml = xasprintf("<domain type='%s'><name>g</name>%s%s<os><type>linux</type>"
		                                     "<kernel>/boot/vmlinuz</kernel></os></domain>",
		                                     t[i].type, t[i].memory, t[i].vcpus);
		_cleanup_dom_config_ struct dom_config *cfg = load(xml, "limits");
		struct err err = { 0 };
		int r = dom_config_limits(cfg, &err);

		if (r != (t[i].text ? -ENOTSUP : 0) || (t[i].text && !strstr(err.text, t[i].text)))
			fail_msg("%s: %d %s", xml, r, err.text);
	}
}

/* libxml2 counts the lines of elements to 65535. */
static void test_far_lines(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct dom_config *cfg = NULL;
	struct err err = { 0 };

	(void)state;
	buf_put(&b, HEAD, strlen(HEAD));
	for (unsigned i = 1; i < 70000; i++)
		buf_put_u8(&b, '\n');
	buf_put(&b, "<title/>\n<title/></domain>", 26);
	assert_int_equal(dom_config_parse((char *)b.data, b.len, "far", &cfg, &err), -EINVAL);
	assert_string_equal(err.text, "far:70001: title: is given twice, the first time in line 70000");
}

static void test_nul(void **state)
{
	static const struct {
		const char *tail;
		size_t len;
		const char *text; /* NULL: accepted */
	} t[] = {
		{ "</domain>\n<!-- end -->\n", 23, NULL },
		{ "</domain>\n\0<x/>", 15, "nul:2: a NUL is behind the document, which must end there" },
		{ "</domain>\0", 10, "nul:1: a NUL is behind the document, which must end there" },
		{ "<title>a\0b</title></domain>", 27, "nul:1: no well-formed XML" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_dom_config_ struct dom_config *cfg = NULL;
		_cleanup_buf_ struct buf b = { 0 };
		struct err err = { 0 };

		buf_put(&b, HEAD, strlen(HEAD));
		buf_put(&b, t[i].tail, t[i].len);
		int r = dom_config_parse((char *)b.data, b.len, "nul", &cfg, &err);
		if (r != (t[i].text ? -EINVAL : 0) ||
		    (t[i].text && strncmp(err.text, t[i].text, strlen(t[i].text)) != 0))
			fail_msg("case %zu: %d %s", i, r, err.text);
	}
}

/* Input made to cost: each ends in an error within a second and little memory. */
static void test_costly_input(void **state)
{
	static const struct {
		const char *what, *head, *unit, *tail;
		size_t times;
	} cases[] = {
		{ "deep", HEAD "<metadata>", "<a>", "", 100000 },
		{ "wide", HEAD "<devices>", "<disk/>", "</devices></domain>", 100000 },
		{ "attributes", "<domain type='uml' ", "a%zu='' ", "></domain>", 80000 },
		{ "namespaces", "<domain type='uml' ", "xmlns:a%zu='x' ", "></domain>", 50000 },
		{ "long name", "<domain type='uml'><name>", "aaaaaaaaaa", "</name></domain>", 100000 },
		{ "too large", HEAD "<!--", "aaaaaaaaaaaaaaaaaaaa", "--></domain>", 60000 },
		{ "many texts", HEAD "<description>", "<![CDATA[x]]>", "</description></domain><", 75000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf b = { 0 };
		struct dom_config *cfg = NULL;
		struct err err = { 0 };
		uint64_t start;
		int r;

		buf_put(&b, cases[i].head, strlen(cases[i].head));
		for (size_t k = 0; k < cases[i].times; k++) {
			const char *at = strstr(cases[i].unit, "%zu");
			_cleanup_free_ char *s = at ? xasprintf("%.*s%zu%s", (int)(at - cases[i].unit), cases[i].unit,
			                                        k, at + 3)
			                            : strdup(cases[i].unit);

			buf_put(&b, s, strlen(s));
		}
		buf_put(&b, cases[i].tail, strlen(cases[i].tail));
		start = now_ns();
		r = dom_config_parse((char *)b.data, b.len, cases[i].what, &cfg, &err);
		if (!r || !err.text[0])
			fail_msg("%s: accepted", cases[i].what);
		if (now_ns() - start > 3 * NS_PER_S)
			fail_msg("%s: took %llu ms", cases[i].what,
			         (unsigned long long)((now_ns() - start) / NS_PER_MS));
	}
}

static void test_files(void **state)
{
	char *dir = test_dir_new();
	_cleanup_free_ char *path = xasprintf("%s/big.xml", dir), *big = calloc(1, (1 << 20) + 1);
	struct dom_config *cfg = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(dom_config_load("/nonexistent.xml", &cfg, &err), -ENOENT);
	assert_string_equal(err.text, "read domain /nonexistent.xml: No such file or directory");
	assert_int_equal(file_write_atomic(path, big, (1 << 20) + 1, 0600), 0);
	assert_int_equal(dom_config_load(path, &cfg, &err), -E2BIG);
	assert_non_null(strstr(err.text, "big.xml: is larger than a definition may be (1048576 octets, 1 MiB)"));
	assert_null(cfg);
	dom_config_free(NULL);
	test_dir_remove(dir);
}

static int parse_full(const char *text, struct dom_config **cfg)
{
	return dom_config_parse(text, strlen(text), "full", cfg, NULL);
}

static void test_allocation_failures(void **state)
{
	_cleanup_free_ char *path = folder("good/full.xml"), *text = slurp(path);
	struct dom_config *cfg = NULL;
	unsigned failures = 0;
	int r = 0;

	(void)state;
	FOR_EACH_ALLOC_FAILURE(r = parse_full(text, &cfg))
	{
		/* an attribute that cannot be copied looks missing: an error all the same, never a crash or a half domain */
		if (r == 0)
			dom_config_free(cfg);
		cfg = NULL;
		failures += alloc_failed;
	}
	assert_int_equal(r, 0);
	assert_true(failures > 20);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_generated_values_stay),
		cmocka_unit_test(test_set_cpu),
		cmocka_unit_test(test_changed_struct),
		cmocka_unit_test(test_written_is_read_again),
		cmocka_unit_test(test_changed_is_read_again),
		cmocka_unit_test(test_plug),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_uuid_given),
		cmocka_unit_test(test_macs),
		cmocka_unit_test(test_unused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_far_lines),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_costly_input),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_allocation_failures),
	};

	return cmocka_run_group_tests_name("domxml", tests, NULL, NULL);
}
