/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl create: the definition and the seed of a new domain, from what was asked for. */
#include "config.h"
#include "tools/vmctl_create.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"

#define KEYS_BYTES_MAX 65536u

char *create_disk_path(const struct create *c)
{
	return xasprintf("%s/%s/%s.%s", c->dir, c->name, c->name,
	                 c->image.format == DOM_FORMAT_QCOW2 ? "qcow2" : "raw");
}

char *create_initrd_path(const struct create *c)
{
	return xasprintf("%s/%s/%s-initrd.img", c->dir, c->name, c->name);
}

char *create_seed_path(const struct create *c)
{
	return xasprintf("%s/%s/%s-seed.iso", c->dir, c->name, c->name);
}

static void put_escaped(FILE *f, const char *text)
{
	for (; *text; text++) {
		const char *as = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '\'' ? "&apos;" : NULL;

		if (as)
			fputs(as, f);
		else
			fputc(*text, f);
	}
}

static void put_disk(FILE *f, const char *path, const char *format, const char *target, bool readonly)
{
	fprintf(f, "<disk type='file' device='disk'><driver name='qemu' type='%s'%s/><source file='", format,
	        readonly ? "" : " discard='unmap'");
	put_escaped(f, path);
	fprintf(f, "'/><target dev='%s' bus='virtio'/>%s</disk>\n", target, readonly ? "<readonly/>" : "");
}

static void put_os(FILE *f, const struct create *c)
{
	_cleanup_free_ char *initrd = create_initrd_path(c);

	if (strcmp(c->engine, "pv") != 0) {
		fprintf(f,
		        "<os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><features><acpi/></features>\n");
		return;
	}
	fprintf(f, "<os><type>linux</type><kernel>/usr/bin/linux.uml</kernel><initrd>");
	put_escaped(f, initrd);
	fprintf(f, "</initrd><cmdline>root=/dev/vda net.ifnames=0</cmdline></os>\n");
}

static void put_devices(FILE *f, const struct create *c)
{
	_cleanup_free_ char *disk = create_disk_path(c), *seed = create_seed_path(c);

	put_disk(f, disk, c->image.format == DOM_FORMAT_QCOW2 ? "qcow2" : "raw", "vda", false);
	if (c->seed)
		put_disk(f, seed, "raw", "vdb", true);
	if (c->bridge) {
		fprintf(f, "<interface type='bridge'><source bridge='");
		put_escaped(f, c->bridge);
		fprintf(f, "'/><model type='virtio'/></interface>\n");
	}
	if (strcmp(c->engine, "pv") != 0)
		fprintf(f,
		        "<serial type='pty'/><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>\n");
	fprintf(f,
	        "<console type='pty'><target type='virtio'/></console>\n"
	        "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng><memballoon model='virtio'/>\n");
}

int create_config(const struct create *c, struct dom_config **ret, struct err *err)
{
	_cleanup_free_ char *xml = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&xml, &len);

	if (!f)
		return err_sys(err, ENOMEM, "write the definition");
	fprintf(f, "<domain type='%s'>\n<name>%s</name>\n<memory unit='KiB'>%llu</memory>\n<vcpu>%u</vcpu>\n",
	        strcmp(c->engine, "pv") ? c->engine : "uml", c->name, (unsigned long long)c->memory_bytes >> 10,
	        c->vcpus);
	put_os(f, c);
	fprintf(f,
	        "<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>restart</on_crash>\n<devices>\n");
	put_devices(f, c);
	fprintf(f, "</devices>\n</domain>\n");
	if (fclose(f) == EOF)
		return err_sys(err, ENOMEM, "write the definition");
	int r = dom_config_parse(xml, len, "the definition", ret, err);
	if (!r)
		r = dom_config_limits(*ret, err);
	return r;
}

bool create_address_is_valid(const char *text, char *ret_ip)
{
	char ip[INET6_ADDRSTRLEN];
	unsigned char octets[16];
	size_t len = strcspn(text, "/");
	char *end;

	if (len >= sizeof(ip) || text[len] != '/' || text[len + 1] < '0' || text[len + 1] > '9')
		return false;
	memcpy(ip, text, len);
	ip[len] = 0;
	unsigned long bits = strtoul(text + len + 1, &end, 10);
	bool four = inet_pton(AF_INET, ip, octets) == 1, six = inet_pton(AF_INET6, ip, octets) == 1;
	if (*end || !(four || six) || bits > (four ? 32 : 128))
		return false;
	if (ret_ip)
		snprintf(ret_ip, INET6_ADDRSTRLEN, "%s", ip);
	return true;
}

/* The public keys in @file, a line each, into @keys. */
static int read_keys(const char *file, json_t *keys, struct err *err)
{
	static const char *const begins[] = { "ssh-", "ecdsa-", "sk-" };
	_cleanup_free_ char *text = NULL;
	int r = file_read(file, KEYS_BYTES_MAX, &text, NULL);

	if (r < 0)
		return err_sys(err, r, "read %s", file);
	if (strstr(text, "PRIVATE KEY"))
		return err_set(err, EINVAL,
		               "%s is a private key, which stays where it is: the public one is beside it, %s.pub",
		               file, file);
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		bool is = false;

		line[strcspn(line, "\r")] = 0;
		if (!*line || *line == '#')
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
			is |= !strncmp(line, begins[i], strlen(begins[i]));
		if (!is || !strchr(line, ' ') || json_array_append_new(keys, json_string(line)))
			return err_set(
				err, EINVAL,
				"%s has a line that is no public key of SSH's: they begin with ssh-, ecdsa- or sk-",
				file);
	}
	return json_array_size(keys) ? 0 : err_set(err, EINVAL, "%s has no key", file);
}

/* JSON is YAML. Takes over @o. */
static int put_json(json_t *o, const char *begin, struct seed_part *ret)
{
	_cleanup_free_ char *text = o ? json_dumps(o, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;

	json_decref(o);
	if (!text)
		return -ENOMEM;
	ret->text = xasprintf("%s%s\n", begin, text);
	ret->len = strlen(ret->text);
	return 0;
}

static int user_data(const struct create *c, struct seed_part *ret, struct err *err)
{
	json_t *keys = json_array();
	int r = read_keys(c->ssh_key, keys, err);

	if (r < 0) {
		json_decref(keys);
		return r;
	}
	/* keys of one kind: each takes time, and a machine that is computed has little */
	r = put_json(json_pack("{s:s, s:b, s:[s], s:[{s:s, s:s, s:s, s:b, s:o}]}", "hostname", c->name, "ssh_pwauth", 0,
	                       "ssh_genkeytypes", "ed25519", "users", "name", c->user, "shell", "/bin/bash", "sudo",
	                       "ALL=(ALL) NOPASSWD:ALL", "lock_passwd", 1, "ssh_authorized_keys", keys),
	             "#cloud-config\n", ret);
	return r < 0 ? err_sys(err, r, "write the seed") : 0;
}

static int network(const struct create *c, const struct dom_config *cfg, struct seed_part *ret, struct err *err)
{
	const uint8_t *m = cfg->nic[0].mac;
	char mac[18];
	json_t *net = json_pack("{s:s, s:s}", "type", strchr(c->address, ':') ? "static6" : "static", "address",
	                        c->address);

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	if (c->gateway)
		(void)json_object_set_new(net, "gateway", json_string(c->gateway));
	if (c->dns)
		(void)json_object_set_new(net, "dns_nameservers", json_pack("[s]", c->dns));
	int r = put_json(json_pack("{s:i, s:[{s:s, s:s, s:s, s:[o]}]}", "version", 1, "config", "type", "physical",
	                           "name", "eth0", "mac_address", mac, "subnets", net),
	                 "", ret);
	return r < 0 ? err_sys(err, r, "write the seed") : 0;
}

int create_seed_parts(const struct create *c, const struct dom_config *cfg, struct seed_parts *ret, struct err *err)
{
	int r = c->user_data ? seed_read_part(c->user_data, &ret->part[SEED_USER_DATA], err)
	                     : user_data(c, &ret->part[SEED_USER_DATA], err);

	if (r < 0)
		return r;
	if (c->user_data)
		seed_look_at_user_data(ret->part[SEED_USER_DATA].text);
	seed_meta_data(cfg, &ret->part[SEED_META_DATA]);
	return c->address ? network(c, cfg, &ret->part[SEED_NETWORK_CONFIG], err) : 0;
}
