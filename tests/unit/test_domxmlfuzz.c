/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random edits of the domain XML of the other tests: what define accepts says, once it is written and read again, the same as before, in
 * every field of struct dom_config. The same seed makes the same documents; HOSPES_SEED repeats a run, HOSPES_EDITS makes more of them.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <dirent.h>
#include "common/buf.h"
#include "common/util.h"
#include "hypervisor/api/domcfg.h"

#define DOCS_MAX 200
#define EDITS    20u /* of one document */

static char *docs[DOCS_MAX]; /* texts of the corpus */
static size_t n_docs;
static uint64_t rnd_state;

static size_t rnd(size_t n) /* xorshift; 0 to @n - 1 */
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return n ? (size_t)(rnd_state % n) : 0;
}

static void read_folder(const char *name)
{
	_cleanup_free_ char *dir = xasprintf("%s/tests/%s", getenv("top_srcdir") ?: ".", name);
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		fail_msg("%s: cannot open", dir);
	while ((e = readdir(d)) && n_docs < DOCS_MAX) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, e->d_name);
		size_t len = strlen(e->d_name);

		if (len < 5 || strcmp(e->d_name + len - 4, ".xml"))
			continue;
		if (file_read(path, 1 << 20, &docs[n_docs], NULL) < 0)
			fail_msg("%s: cannot read", path);
		n_docs++;
	}
	closedir(d);
}

/* Edits ------------------------------------------------------------------------------------------------------------------ */

struct span {
	const char *at;
	size_t len;
};

static const char *nth(const char *text, char c)
{
	size_t n = 0;

	for (const char *s = text; (s = strchr(s, c)); s++)
		n++;
	n = n ? rnd(n) + 1 : 0;
	for (const char *s = text; n && (s = strchr(s, c)); s++)
		if (!--n)
			return s;
	return NULL;
}

/* Some element of @text, with what is in it. */
static struct span element(const char *text)
{
	for (unsigned tries = 0; tries < 20; tries++) {
		const char *s = nth(text, '<'), *end = s ? strchr(s, '>') : NULL;
		char close[80];

		if (!end || s[1] == '/' || s[1] == '!' || s[1] == '?')
			continue;
		if (end[-1] == '/')
			return (struct span){ s, (size_t)(end + 1 - s) };
		snprintf(close, sizeof(close), "</%.*s>", (int)strcspn(s + 1, " \t\n>"), s + 1);
		end = strstr(s, close);
		if (end)
			return (struct span){ s, (size_t)(end - s) + strlen(close) };
	}
	return (struct span){ text, 0 };
}

/* Some attribute's value, between its quotes. */
static struct span value(const char *text)
{
	for (unsigned tries = 0; tries < 20; tries++) {
		const char *s = nth(text, '='), *end;

		if (!s || (s[1] != '\'' && s[1] != '"'))
			continue;
		end = strchr(s + 2, s[1]);
		if (end)
			return (struct span){ s + 2, (size_t)(end - s) - 2 };
	}
	return (struct span){ text, 0 };
}

/* The text of some element that has no others in it. */
static struct span content(const char *text)
{
	for (unsigned tries = 0; tries < 20; tries++) {
		const char *s = nth(text, '>'), *end = s ? strchr(s, '<') : NULL;

		if (end && end[1] == '/' && end > s + 1)
			return (struct span){ s + 1, (size_t)(end - s) - 1 };
	}
	return (struct span){ text, 0 };
}

static const char *const words[] = {
	"",
	"0",
	"1",
	"2",
	"8",
	"65535",
	"18446744073709551616",
	"-1",
	"yes",
	"no",
	"on",
	"off",
	"default",
	"none",
	"/srv/a.img",
	"/srv/b.qcow2",
	"/a/../b",
	"a b",
	"&#32;x&#32;",
	"&#10;",
	"&lt;b&gt;",
	"\xc3\xa4",
	"&#9;/x",
	"vda",
	"vdb",
	"sda",
	"hda",
	"hdb",
	"sdc",
	"virtio",
	"ide",
	"sata",
	"scsi",
	"usb",
	"cdrom",
	"disk",
	"raw",
	"qcow2",
	"uml",
	"qemu",
	"kvm",
	"hvm",
	"linux",
	"q35",
	"pc",
	"virt",
	"aarch64",
	"52:54:00:aa:bb:cc",
	"br0",
	"tap0",
	"bridge",
	"ethernet",
	"pty",
	"file",
	"KiB",
	"MiB",
	"GiB",
	"utc",
	"variable",
	"localtime",
	"reset",
	"poweroff",
	"i6300esb",
	"itco",
	"host-model",
	"custom",
	"host-passthrough",
	"efi",
	"secure-boot",
	"writeback",
	"unmap",
	"stop",
	"report",
	"6695eb01-f6a4-8304-79aa-97f2502e193f",
	"ua-hospes-place1",
	"ua-hospes-place9",
	"vnc",
	"vga",
	"tablet",
	"static",
	"dynamic",
};

static const char *const pieces[] = {
	"<!-- <uuid>x</uuid> -->",
	"<![CDATA[x]]>",
	"<?pi x?>",
	"\n\n",
	"&#32;",
	" ",
	"<x:y xmlns:x='urn:x'>t</x:y>",
	"<y xmlns='urn:y' type='file'/>",
	"<interface type='ethernet'/>",
	"<interface type='bridge'><source bridge='br0'/></interface>",
	"<boot order='1'/>",
	"<boot dev='cdrom'/>",
	"<disk type='file'><source file='/srv/n.img'/><target dev='vdq'/></disk>",
	"<serial type='pty'/>",
	"<console type='pty'/>",
	"<console type='pty'><target type='virtio'/></console>",
	"<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
	"<memballoon model='none'/>",
	"<watchdog model='itco' action='nmi'/>",
	"<readonly/>",
	"<shareable/>",
	"<serial>abc</serial>",
	"<wwn>5000c50015ea71aa</wwn>",
	"<address type='drive' controller='0' bus='0' target='0' unit='1'/>",
	"<target dev='tap1'/>",
	"<mtu size='1400'/>",
	"<log file='/var/log/l'/>",
	"<graphics type='vnc' port='5901' passwd='x'/>",
	"<video><model type='vga' vram='16384'/></video>",
	"<alias name='ua-hospes-place2'/>",
	"<hospes:machine xmlns:hospes='urn:hospes:machine:1' places='8'/>",
	"<metadata/>",
	"<description> a  b </description>",
	"<title>t</title>",
	"<seclabel type='static' model='m'><label>a/b</label></seclabel>",
	"<vcpu>1</vcpu>",
	"<currentMemory>40000</currentMemory>",
	"<input type='tablet' bus='usb'/>",
	"<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
	"<disk type='file' device='cdrom'><source file='/srv/c.iso'/><target dev='vdr' bus='virtio'/></disk>",
	"<timer name='hpet' present='no'/>",
	"<feature policy='disable' name='vmx'/>",
	"<disk type='file' device='cdrom'><target dev='sdb' bus='sata'/></disk>",
};

static char *spliced(const char *text, const char *at, size_t cut, const char *put, size_t put_len)
{
	return xasprintf("%.*s%.*s%s", (int)(at - text), text, (int)put_len, put, at + cut);
}

static char *edit(const char *text)
{
	const char *other = docs[rnd(n_docs)], *at;
	struct span a, b;

	switch (rnd(8)) {
	case 0: /* an element away */
		a = element(text);
		return spliced(text, a.at, a.len, "", 0);
	case 1: /* another document's in its place, or before it */
		a = element(text);
		b = element(other);
		return spliced(text, a.at, rnd(2) ? a.len : 0, b.at, b.len);
	case 2: /* one twice, somewhere */
		a = element(text);
		b = element(text);
		return spliced(text, b.at, 0, a.at, a.len);
	case 3: /* another document's value */
		a = value(text);
		b = value(other);
		return spliced(text, a.at, a.len, b.at, b.len);
	case 4: /* a value that means something somewhere */
		a = rnd(2) ? value(text) : content(text);
		other = words[rnd(ARRAY_SIZE(words))];
		return spliced(text, a.at, a.len, other, strlen(other));
	case 5: /* a piece at the end or the beginning of an element */
		at = nth(text, rnd(2) ? '<' : '>') ?: text;
		other = pieces[rnd(ARRAY_SIZE(pieces))];
		return spliced(text, *at == '>' ? at + 1 : at, 0, other, strlen(other));
	case 6: /* another type of domain, which reads the same elements differently */
		at = strstr(text, "<domain type='") ?: strstr(text, "<domain type=\"");
		other = ((const char *const[]){ "uml", "qemu", "kvm" })[rnd(3)];
		return at ? spliced(text, at + 14, strcspn(at + 14, "'\""), other, strlen(other)) : strdup(text);
	default: /* an octet */
		a.at = text + rnd(strlen(text));
		other = (const char[]){ (char)(32 + rnd(95)) };
		return spliced(text, a.at, *a.at ? rnd(2) : 0, other, 1);
	}
}

/* The property ----------------------------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/*
 * The name of the first field that differs, NULL: none does. What is no pointer is compared as octets, so that a new field is compared, too;
 * and a new pointer, which differs in any case, has to be named here.
 */
static const char *difference(const struct dom_config *a, const struct dom_config *b)
{
	static struct dom_config x, y; /* copies */

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
#define TEXT(field)                                                                                                    \
	do {                                                                                                           \
		if (!same_text(x.field, y.field))                                                                      \
			return #field;                                                                                 \
		x.field = y.field = NULL;                                                                              \
	} while (0)
	TEXT(title);
	TEXT(description);
	TEXT(machine);
	TEXT(kernel);
	TEXT(initrd);
	TEXT(cmdline);
	TEXT(fw.loader);
	TEXT(fw.nvram);
	TEXT(fw.template);
	TEXT(seclabel);
	TEXT(hvm.display.socket);
	for (size_t i = 0; i < DOM_DISKS_MAX; i++) {
		TEXT(disk[i].source);
		TEXT(disk[i].serial);
		if (memcmp(&x.disk[i], &y.disk[i], sizeof(x.disk[i])) != 0)
			return "disk[]";
	}
	for (size_t i = 0; i < DOM_CONSOLES_MAX; i++) {
		TEXT(console[i].path);
		TEXT(console[i].log);
		if (x.console[i].type != y.console[i].type)
			return "console[].type";
	}
	for (size_t i = 0; i < DOM_NICS_MAX; i++)
		x.nic[i].mac_given = y.nic[i].mac_given = true; /* it is written out */
#undef TEXT
	x.uuid_given = y.uuid_given = true;
	/* what is only said, once, when it is defined */
	x.unknown = y.unknown = NULL;
	x.note = y.note = NULL;
	x.n_unknown = y.n_unknown = x.n_notes = y.n_notes = 0;
	x.doc = y.doc = NULL;
	if (memcmp(x.nic, y.nic, sizeof(x.nic)) != 0)
		return "nic[]";
	if (memcmp(&x.hvm, &y.hvm, sizeof(x.hvm)) != 0)
		return "hvm";
	return memcmp(&x, &y, sizeof(x)) ? "another field" : NULL;
}

static bool accepted(const char *text, uint64_t seed)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL, *back = NULL;
	_cleanup_free_ char *written = NULL;
	struct err err = { 0 };

	if (dom_config_parse(text, strlen(text), "edited", &cfg, &err) < 0 ||
	    dom_config_settle(cfg, NULL, &written, &err) < 0) {
		if (!err.text[0])
			fail_msg("seed %llu: refused without a word: %s", (unsigned long long)seed, text);
		return false;
	}
	if (dom_config_parse(written, strlen(written), "written", &back, &err) < 0)
		fail_msg("seed %llu: %s\n%s\nwas written as\n%s", (unsigned long long)seed, err.text, text, written);
	const char *field = difference(cfg, back);
	if (field)
		fail_msg("seed %llu: %s is read differently\n%s\nwas written as\n%s", (unsigned long long)seed, field,
		         text, written);
	return true;
}

static void test_edits(void **state)
{
	const char *from = getenv("HOSPES_SEED"), *many = getenv("HOSPES_EDITS");
	uint64_t seed = from ? strtoull(from, NULL, 10) : 1;
	unsigned n = many ? (unsigned)atoi(many) : 8000, good = 0;
	size_t n_good;

	(void)state;
	read_folder("unit/xml/good");
	n_good = n_docs;
	read_folder("unit/xml/bad");
	read_folder("fuzz/corpus/domxml");
	assert_true(n_docs > 80);
	for (unsigned i = 0; i < n; i += EDITS, seed++) {
		char *text;

		rnd_state = (seed + 1) * 0x9e3779b97f4a7c15u;
		text = strdup(docs[rnd(n_good)]);
		for (size_t k = 0; k < EDITS; k++) { /* on what was accepted, or documents would soon be all wrong */
			char *next = edit(text);
			bool ok = accepted(next, seed);

			free(ok ? text : next);
			text = ok ? next : text;
			good += ok;
		}
		free(text);
	}
	print_message("%u of %u edited documents were accepted\n", good, n);
	assert_true(good > n / 4); /* or the test looks at nothing */
	for (size_t i = 0; i < n_docs; i++)
		free(docs[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_edits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
