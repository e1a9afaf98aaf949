/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Made-up clusters for benchmarks, and any cluster in the words of Ganeti's tools. See vmclus_simulate.h. */
#include "config.h"
#include "tools/vmclus_simulate.h"

#include <errno.h>
#include <string.h>

#define MIB (1ull << 20)

/* splitmix64: the same numbers on every machine */
static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static uint32_t below(uint64_t *seed, uint32_t n)
{
	return (uint32_t)(next(seed) % n);
}

struct made {
	uint64_t mem, cap;
	uint32_t cpu, cpus;
};

/* Two of three domains go to the first third of the hosts, as after a failover or when hosts were added. */
static uint32_t pick_host(const struct made *host, uint32_t n, uint64_t mem, uint32_t cpu, uint64_t *seed)
{
	uint32_t third = n / 3 ? n / 3 : 1;

	for (uint32_t tries = 0; tries < 64; tries++) {
		uint32_t h = below(seed, 3) ? below(seed, third) : below(seed, n);
		if (host[h].mem + mem <= host[h].cap && host[h].cpu + cpu <= host[h].cpus * 1000)
			return h;
	}
	uint32_t least = 0; /* full nearly everywhere */
	for (uint32_t h = 1; h < n; h++)
		if (host[h].cap - host[h].mem > host[least].cap - host[least].mem)
			least = h;
	return host[least].mem + mem <= host[least].cap ? least : n;
}

static void make_domains(json_t *list, struct made *host, uint32_t hosts, uint32_t domains, uint64_t *seed)
{
	static const uint16_t mem_mib[] = { 512, 1024, 1024, 2048, 2048, 2048, 4096, 4096, 8192 };
	char name[32], at[32];

	for (uint32_t i = 0; i < domains; i++) {
		uint64_t mem = mem_mib[below(seed, 9)] * MIB;
		uint32_t cpu = 250 * (1 + below(seed, 6));
		uint32_t h = pick_host(host, hosts, mem, cpu, seed);
		if (h == hosts)
			continue; /* the cluster is full */
		host[h].mem += mem;
		host[h].cpu += cpu;
		snprintf(name, sizeof(name), "vm%06u", i);
		snprintf(at, sizeof(at), "host%05u", h);
		uint64_t used = mem / 100 * (30 + below(seed, 70)), dirty = (uint64_t)below(seed, 20) * MIB;
		(void)json_array_append_new(list,
		                            json_pack("{s:s, s:s, s:I, s:f, s:I, s:I}", "name", name, "host", at,
		                                      "mem_bytes", (json_int_t)mem, "cpu_used", cpu / 1000.0,
		                                      "used_bytes", (json_int_t)used, "dirty_bps", (json_int_t)dirty));
	}
}

json_t *simgen(uint32_t hosts, uint32_t domains, uint64_t seed)
{
	_cleanup_free_ struct made *host = calloc(hosts, sizeof(*host));
	json_t *h = json_array(), *d = json_array();
	char name[32];

	for (uint32_t i = 0; host && i < hosts; i++) { /* every fourth is a larger one */
		uint32_t size = below(&seed, 4) ? 1 : 2;
		host[i] = (struct made){ .cap = size * 65536 * MIB, .cpus = size * 32 };
		snprintf(name, sizeof(name), "host%05u", i);
		(void)json_array_append_new(h, json_pack("{s:s, s:I, s:i}", "name", name, "mem_total_bytes",
		                                         (json_int_t)host[i].cap, "cpu_total", (int)host[i].cpus));
	}
	if (host)
		make_domains(d, host, hosts, domains, &seed);
	return json_pack("{s:o, s:o}", "hosts", h, "domains", d);
}

int simfile_write_ganeti(const struct simfile *f, const char *path, struct err *err)
{
	const struct clu_plan_snap *s = &f->snap;
	_cleanup_free_ uint64_t *used = calloc(s->n_host, sizeof(*used));
	FILE *o = fopen(path, "we");

	if (!o || !used) {
		int r = errno;
		if (o)
			fclose(o);
		return err_sys(err, r, "cannot write %s", path);
	}
	for (uint32_t i = 0; i < s->n_dom; i++)
		used[s->dom[i].host] += s->dom[i].mem_bytes / MIB;
	fprintf(o, "group|g-1|preferred||\n\n");
	for (uint32_t i = 0; i < s->n_host; i++) {
		uint64_t total = s->host[i].mem_bytes / MIB, other = s->host[i].mem_other_bytes / MIB;
		fprintf(o, "%s|%llu|%llu|%llu|1000000|1000000|%u|%c|g-1|1\n", f->host_name[i],
		        (unsigned long long)total, (unsigned long long)other,
		        (unsigned long long)(total - other - used[i]), s->host[i].cpu_milli / 250,
		        s->host[i].usable ? i ? 'N' : 'M' : 'Y');
	}
	fprintf(o, "\n");
	for (uint32_t i = 0; i < s->n_dom; i++)
		fprintf(o, "%s|%llu|0|%u|running|Y|%s||ext||1\n", f->dom_name[i],
		        (unsigned long long)(s->dom[i].mem_bytes / MIB), s->dom[i].cpu_milli / 250,
		        f->host_name[s->dom[i].host]);
	/* policies that forbid nothing we do not */
	fprintf(o, "\n\n");
	for (int i = 0; i < 2; i++)
		fprintf(o, "%s|128,1,0,1,1,1|1,1,0,1,1,1;16777216,1024,1048576,16,8,12|ext|1024.0|1000000.0\n",
		        i ? "group" : "");
	return fclose(o) ? err_sys(err, errno, "cannot write %s", path) : 0;
}
