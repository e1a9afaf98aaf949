/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Procedures with numbers of this host: its processors and memory. */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CPU_ALL  -1
#define CPUS_MAX 4096

/* A list of numbers by name. With a count of 0 it is asked how many there are. */
static int put_numbers(struct vd_call *c, uint32_t asked, const char *const *name, const uint64_t *v, uint32_t n)
{
	if (asked && asked < n)
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: there are %u numbers", n);
	xdr_put_u32(&c->out, asked ? n : 0);
	for (uint32_t i = 0; asked && i < n; i++) {
		xdr_put_string(&c->out, name[i]);
		xdr_put_u64(&c->out, v[i]);
	}
	xdr_put_u32(&c->out, n);
	return 0;
}

/* Arguments: processor, how many numbers, flags. */
int vdh_node_cpu_stats(struct vd_call *c)
{
	static const char *const name[] = { "kernel", "user", "idle", "iowait" };
	_cleanup_fclose_ FILE *f = fopen("/proc/stat", "re");
	int32_t cpu = (int32_t)c->args.arg[0].u;
	uint64_t tick = 1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK);
	unsigned long long user, nice, system, idle, wait, irq, soft;
	char line[512], label[24] = "cpu ";

	if (cpu != CPU_ALL)
		snprintf(label, sizeof(label), "cpu%d ", cpu);
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, label, strlen(label)) ||
		    sscanf(line + strlen(label), "%llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
		           &wait, &irq, &soft) != 7)
			continue;
		const uint64_t v[] = { (system + irq + soft) * tick, (user + nice) * tick, idle * tick, wait * tick };

		return put_numbers(c, c->args.arg[1].u, name, v, ARRAY_SIZE(v));
	}
	return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: there is no processor %d", cpu);
}

/* Arguments: how many numbers, cell, flags. */
int vdh_node_memory_stats(struct vd_call *c)
{
	static const char *const name[] = { "total", "free", "buffers", "cached" };
	static const char *const key[] = { "MemTotal:", "MemFree:", "Buffers:", "Cached:" };
	_cleanup_fclose_ FILE *f = fopen("/proc/meminfo", "re");
	uint64_t v[ARRAY_SIZE(key)] = { 0 };
	unsigned long long n;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < ARRAY_SIZE(key); i++)
			if (!strncmp(line, key[i], strlen(key[i])) && sscanf(line + strlen(key[i]), "%llu", &n) == 1)
				v[i] = n;
	return put_numbers(c, c->args.arg[0].u, name, v, ARRAY_SIZE(v));
}

/* Those that there are, and of them those that are online. Arguments: is the map wanted, is the number, flags. */
int vdh_node_cpu_map(struct vd_call *c)
{
	_cleanup_fclose_ FILE *f = fopen("/sys/devices/system/cpu/online", "re");
	long there = sysconf(_SC_NPROCESSORS_CONF);
	unsigned from, to, online = 0;
	uint8_t map[CPUS_MAX / 8] = { 0 };

	if (there < 1 || there > CPUS_MAX)
		return vd_fail(c, VD_E_INTERNAL, "the number of processors is not known");
	while (f && fscanf(f, "%u", &from) == 1) {
		to = from;
		int ch = fgetc(f);
		if (ch == '-' && fscanf(f, "%u", &to) == 1)
			ch = fgetc(f);
		for (unsigned i = from; i <= to && i < (unsigned)there; i++) {
			map[i / 8] |= (uint8_t)(1u << i % 8);
			online++;
		}
		if (ch != ',')
			break;
	}
	xdr_put_opaque(&c->out, map, c->args.arg[0].u ? (size_t)(there + 7) / 8 : 0);
	xdr_put_u32(&c->out, online);
	xdr_put_u32(&c->out, (uint32_t)there);
	return 0;
}

/* One cell: how memory is placed is not looked at. Arguments: first cell, how many. */
int vdh_cells_free(struct vd_call *c)
{
	if (c->args.arg[0].u)
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: there is cell 0 only");
	xdr_put_u32(&c->out, 1);
	return vdh_free_memory(c);
}

/* What storage pools there can be. */
int vdh_pool_capabilities(struct vd_call *c)
{
	xdr_put_string(&c->out, "<storagepoolCapabilities>\n"
	                        "  <pool type='dir' supported='yes'>\n"
	                        "    <volOptions>\n"
	                        "      <defaultFormat type='raw'/>\n"
	                        "      <enum name='targetFormatType'>\n"
	                        "        <value>raw</value>\n"
	                        "        <value>qcow2</value>\n"
	                        "      </enum>\n"
	                        "    </volOptions>\n"
	                        "  </pool>\n"
	                        "</storagepoolCapabilities>\n");
	return 0;
}
