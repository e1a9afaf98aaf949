/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which firmware a definition gets on a host: hypervisor/api/firmware.c, with descriptors and files of the
 * test's own.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/firmware.h"

static const char *dirs[3];

static char *in_dir(const char *name)
{
	return xasprintf("%s/%s", test_dir, name);
}

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *p = in_dir(name);
	_cleanup_fclose_ FILE *f = fopen(p, "w");

	assert_non_null(f);
	fputs(text, f);
}

static void image(const char *name, off_t bytes)
{
	_cleanup_free_ char *p = in_dir(name);
	_cleanup_close_ int fd = open(p, O_WRONLY | O_CREAT, 0600);

	assert_int_equal(ftruncate(fd, bytes), 0);
}

static void desc(const char *name, const char *code, const char *vars, const char *machines, const char *features)
{
	_cleanup_free_ char *t = xasprintf(
		"{\"interface-types\":[\"uefi\"],\"mapping\":{\"device\":\"flash\",\"executable\":{\"filename\":\"%s/%s\","
		"\"format\":\"raw\"},\"nvram-template\":{\"filename\":\"%s/%s\",\"format\":\"raw\"}},\"targets\":[{"
		"\"architecture\":\"x86_64\",\"machines\":[%s]}],\"features\":[%s],\"tags\":[]}",
		test_dir, code, test_dir, vars, machines, features);

	put(name, t);
}

static int set_up(void **state)
{
	int r = test_dir_setup(state);
	_cleanup_free_ char *etc = in_dir("etc"), *usr = in_dir("usr");
	static char kept[2][200];

	mkdir(etc, 0700);
	mkdir(usr, 0700);
	snprintf(kept[0], sizeof(kept[0]), "%s", etc);
	snprintf(kept[1], sizeof(kept[1]), "%s", usr);
	dirs[0] = kept[0];
	dirs[1] = kept[1];
	image("CODE.fd", 4 * 4096);
	image("CODE.sec.fd", 5 * 4096);
	image("VARS.fd", 4096);
	image("VARS.ms.fd", 2 * 4096);
	desc("usr/40-enrolled.json", "CODE.sec.fd", "VARS.ms.fd", "\"pc-q35-*\"",
	     "\"enrolled-keys\",\"requires-smm\",\"secure-boot\"");
	desc("usr/50-secure.json", "CODE.sec.fd", "VARS.fd", "\"pc-q35-*\"", "\"requires-smm\",\"secure-boot\"");
	desc("usr/60-plain.json", "CODE.fd", "VARS.fd", "\"pc-i440fx-*\",\"pc-q35-*\"", "\"acpi-s3\"");
	put("usr/README", "no descriptor");
	put("usr/10-broken.json", "{\"mapping\":[\"x\"],\"targets\":7,\"features\":{}}");
	put("usr/11-torn.json", "{\"mapping\":");
	return r;
}

#define HEAD "<domain type='qemu'><name>g</name><memory unit='MiB'>64</memory>"
#define DISK                                                                                                           \
	"<devices><disk type='file' device='disk'><source file='/srv/i.raw'/><target dev='vda' bus='virtio'/></disk></devices>"

/* "@" in @os: the directory. */
static int find(const char *os, const char *devices, struct firmware *fw, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	char part[512] = "";
	struct err why = { 0 };

	for (const char *s = os; *s; s++)
		snprintf(part + strlen(part), sizeof(part) - strlen(part), "%.*s", *s == '@' ? 200 : 1,
		         *s == '@' ? test_dir : s);
	_cleanup_free_ char *xml = xasprintf(HEAD "%s%s</domain>", part, devices);
	if (dom_config_parse(xml, strlen(xml), "test", &cfg, &why) < 0)
		fail_msg("%s", why.text);
	return firmware_find_in(dirs, cfg, fw, err);
}

static void test_choice(void **state)
{
	static const struct {
		const char *os, *code, *template;
		bool smm;
	} c[] = {
		{ "<os firmware='efi'><type>hvm</type></os>", "CODE.fd", "VARS.fd", false },
		{ "<os firmware='efi'><type machine='pc'>hvm</type></os>", "CODE.fd", "VARS.fd", false },
		{ "<os firmware='efi'><type machine='pc-q35-6.2'>hvm</type></os>", "CODE.fd", "VARS.fd", false },
		{ "<os firmware='efi'><type>hvm</type><firmware><feature enabled='yes' name='secure-boot'/></firmware></os>",
		  "CODE.sec.fd", "VARS.ms.fd", true },
		{ "<os firmware='efi'><type>hvm</type><firmware><feature enabled='yes' name='secure-boot'/>"
		  "<feature enabled='no' name='enrolled-keys'/></firmware></os>",
		  "CODE.sec.fd", "VARS.fd", true },
		{ "<os firmware='efi'><type>hvm</type><loader secure='yes'/></os>", "CODE.sec.fd", "VARS.ms.fd", true },
		/* a loader that is named: what its descriptor says, what is named beside it, what lies beside it */
		{ "<os><type>hvm</type><loader readonly='yes' type='pflash'>@/CODE.fd</loader></os>", "CODE.fd",
		  "VARS.fd", false },
		{ "<os><type>hvm</type><loader readonly='yes' type='pflash'>@/CODE.fd</loader><nvram template='@/VARS.ms.fd'/></os>",
		  "CODE.fd", "VARS.ms.fd", false },
		{ "<os><type>hvm</type><loader secure='yes' type='pflash'>@/MY_CODE_4M.secboot.fd</loader></os>",
		  "MY_CODE_4M.secboot.fd", "MY_VARS_4M.fd", true },
	};
	(void)state;

	image("MY_CODE_4M.secboot.fd", 8192);
	image("MY_VARS_4M.fd", 4096);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		_cleanup_firmware_ struct firmware fw = { 0 };
		_cleanup_free_ char *code = in_dir(c[i].code), *template = in_dir(c[i].template);
		struct err err = { 0 };
		if (find(c[i].os, DISK, &fw, &err) < 0)
			fail_msg("%zu: %s", i, err.text);
		assert_string_equal(fw.code, code);
		assert_string_equal(fw.template, template);
		assert_int_equal(fw.smm, c[i].smm);
		assert_true(fw.code_bytes >= 8192 && fw.vars_bytes >= 4096);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		const char *os, *devices, *text;
	} c[] = {
		{ "<os firmware='efi'><type machine='pc'>hvm</type><loader secure='yes'/></os>", DISK,
		  "machine pc, Secure Boot" },
		{ "<os><type machine='pc'>hvm</type><loader secure='yes' type='pflash'>@/CODE.fd</loader></os>", DISK,
		  "needs SMM" },
		{ "<os><type>hvm</type><loader secure='no' type='pflash'>@/CODE.sec.fd</loader></os>", DISK,
		  "built for SMM" },
		{ "<os><type>hvm</type><loader type='pflash'>@/none.fd</loader></os>", DISK, "ovmf" },
		{ "<os><type>hvm</type><loader type='pflash'>@/ODD.fd</loader></os>", DISK,
		  "no image of a flash memory" },
		{ "<os><type>hvm</type><loader type='pflash'>@/ALONE.fd</loader></os>", DISK, "no template is known" },
		{ "<os firmware='efi'><type>hvm</type></os>", "", "no image file beside which" },
	};
	(void)state;

	image("ODD.fd", 5000);
	image("ALONE.fd", 4096);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		struct firmware fw = { 0 };
		struct err err = { 0 };
		assert_true(find(c[i].os, c[i].devices, &fw, &err) < 0);
		assert_null(fw.code);
		if (!strstr(err.text, c[i].text))
			fail_msg("%zu: %s", i, err.text);
	}
}

/* A file in the first directory hides that of its name, an empty one altogether. */
static void test_directories(void **state)
{
	_cleanup_firmware_ struct firmware fw = { 0 };
	struct err err = { 0 };
	(void)state;

	image("OTHER.fd", 4096);
	desc("etc/60-plain.json", "OTHER.fd", "VARS.fd", "\"pc-q35-*\"", "");
	assert_int_equal(find("<os firmware='efi'><type>hvm</type></os>", DISK, &fw, &err), 0);
	assert_non_null(strstr(fw.code, "/OTHER.fd"));
	put("etc/60-plain.json", "");
	struct firmware none = { 0 };
	assert_int_equal(find("<os firmware='efi'><type>hvm</type></os>", DISK, &none, &err), -ENOENT);
}

static void test_nvram_path(void **state)
{
	static const struct {
		const char *rest, *path;
	} c[] = {
		{ "<os firmware='efi'><type>hvm</type></os>" DISK, "/srv/g_VARS.fd" },
		{ "<os firmware='efi'><type>hvm</type><nvram>/srv/x.fd</nvram></os>" DISK, "/srv/x.fd" },
		{ "<os firmware='efi'><type>hvm</type><nvram type='file'><source file='/srv/y.fd'/></nvram></os>" DISK,
		  "/srv/y.fd" },
		{ "<os><type>hvm</type></os>" DISK, NULL },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		_cleanup_dom_config_ struct dom_config *cfg = NULL;
		_cleanup_free_ char *xml = xasprintf(HEAD "%s</domain>", c[i].rest);
		struct err err = { 0 };
		if (dom_config_parse(xml, strlen(xml), "test", &cfg, &err) < 0)
			fail_msg("%s", err.text);
		_cleanup_free_ char *path = firmware_nvram_path(cfg);
		assert_int_equal(!path, !c[i].path);
		if (path)
			assert_string_equal(path, c[i].path);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, test_dir_teardown)
	const struct CMUnitTest tests[] = { TEST(test_choice), TEST(test_refusals), TEST(test_directories),
		                            TEST(test_nvram_path) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
