/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This host, measured: see hostinfo.h. */
#include "config.h"
#include "clusterd/io/hostinfo.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "clusterd/core/clu.h"
#include "common/hostname.h"
#include "common/jsonplain.h"
#include "common/util.h"
#include "hypervisor/api/cpufeat.h"
#include "hypervisor/api/hvcheck.h"

#define RESERVE_MIN  (256ull << 20)
#define STOP_GRACE_S 30
#define REACH_PORT   5418

/* Configuration -------------------------------------------------------------------------------------------------------- */

static int size_of(json_t *o, const char *key, uint64_t *ret, const char *path, struct err *err)
{
	json_t *v = json_object_get(o, key);

	if (!v)
		return 0;
	if (!json_is_string(v) || size_parse(json_string_value(v), ret) < 0)
		return err_set(err, EINVAL, "%s: \"%s\" is a size, for example \"2GiB\"", path, key);
	return 0;
}

static int labels_of(json_t *o, struct hostconf *c, const char *path, struct err *err)
{
	json_t *list = json_object_get(o, "labels"), *v;
	size_t i;

	if (list && (!json_is_array(list) || json_array_size(list) > CLU_LABELS_MAX))
		return err_set(err, EINVAL, "%s: \"labels\" is a list of at most %u words", path, CLU_LABELS_MAX);
	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v);

		if (!s || !name_is_valid(s) || strlen(s) >= CLU_WORD_MAX)
			return err_set(err, EINVAL, "%s: a label is a word of at most %u letters", path,
			               CLU_WORD_MAX - 1);
		snprintf(c->label[i], CLU_WORD_MAX, "%s", s);
	}
	return 0;
}

static int keys_of(json_t *o, struct hostconf *c, const char *path, struct err *err)
{
	json_t *cpus = json_object_get(o, "cpus"), *grace = json_object_get(o, "stop_grace_s"),
	       *measure = json_object_get(o, "measure"), *port = json_object_get(o, "reach_port");
	int r = size_of(o, "reserve", &c->reserve_bytes, path, err);

	if (r == 0)
		r = size_of(o, "memory", &c->memory_bytes, path, err);
	if (r == 0)
		r = labels_of(o, c, path, err);
	if (r < 0)
		return r;
	if (cpus && (!json_is_number(cpus) || json_number_value(cpus) < 0.1 || json_number_value(cpus) > 100000))
		return err_set(err, EINVAL, "%s: \"cpus\" is a number", path);
	if (grace && (!json_is_number(grace) || json_number_value(grace) < 0 || json_number_value(grace) > 86400))
		return err_set(err, EINVAL, "%s: \"stop_grace_s\" is a number of seconds", path);
	if (measure && (!json_is_string(measure) || (strcmp(json_string_value(measure), "machine") != 0 &&
	                                             strcmp(json_string_value(measure), "domains") != 0)))
		return err_set(err, EINVAL, "%s: \"measure\" is \"machine\" or \"domains\"", path);
	if (port && (!json_is_integer(port) || json_integer_value(port) < 1 || json_integer_value(port) > 65535))
		return err_set(err, EINVAL, "%s: \"reach_port\" is a UDP port", path);
	if (port)
		c->reach_port = (uint16_t)json_integer_value(port);
	if (cpus)
		c->cpu_milli = (uint32_t)(json_number_value(cpus) * 1000);
	if (grace)
		c->stop_grace_ns = (uint64_t)(json_number_value(grace) * 1e9);
	c->domains_only = measure && !strcmp(json_string_value(measure), "domains");
	return 0;
}

int hostconf_load(struct hostconf *c, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/clusterd.json", path_conf()), *text = NULL,
			    *role = xasprintf("%s/witness", path_conf());
	json_error_t je;
	size_t len;
	int r = file_read(path, 65536, &text, &len);

	*c = (struct hostconf){ .stop_grace_ns = STOP_GRACE_S * NS_PER_S, .reach_port = REACH_PORT };
	host_name(c->migrated_name, sizeof(c->migrated_name));
	c->witness = access(role, F_OK) == 0;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_sys(err, r, "read %s", path);
	json_plain(text, len);
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (!json_is_object(o))
		r = err_set(err, EINVAL, "%s:%d: %s", path, je.line, o ? "not an object" : je.text);
	else
		r = keys_of(o, c, path, err);
	json_decref(o);
	return r;
}

/* Capacity ------------------------------------------------------------------------------------------------------------- */

static uint64_t meminfo(const char *key)
{
	_cleanup_free_ char *text = NULL;
	char *p;

	if (file_read("/proc/meminfo", 65536, &text, NULL) < 0)
		return 0;
	p = strstr(text, key);
	return p ? strtoull(p + strlen(key), NULL, 10) << 10 : 0;
}

/* This process' control group: malloc'd "/a/b", NULL when there is none. */
static char *own_cgroup(void)
{
	_cleanup_free_ char *text = NULL;
	char *p;

	if (file_read("/proc/self/cgroup", 65536, &text, NULL) < 0)
		return NULL;
	p = strstr(text, "0::/");
	if (!p)
		return NULL;
	p[strcspn(p, "\n")] = 0;
	return xasprintf("%s", p + 3);
}

static uint64_t limit_bytes(const char *text)
{
	return isdigit((unsigned char)text[0]) ? strtoull(text, NULL, 10) : UINT64_MAX;
}

static uint64_t limit_cpu_milli(const char *text)
{
	uint64_t quota, period;

	return sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) == 2 && period ? quota * 1000 / period
	                                                                            : UINT64_MAX;
}

/* The tightest limit of @file on the way up from our group; UINT64_MAX: none. */
static uint64_t cgroup_limit(const char *file, uint64_t (*limit)(const char *text))
{
	_cleanup_free_ char *cg = own_cgroup();
	uint64_t least = UINT64_MAX;

	while (cg && cg[0]) {
		_cleanup_free_ char *path = xasprintf("/sys/fs/cgroup%s/%s", cg, file), *text = NULL;
		char *slash = strrchr(cg, '/');
		uint64_t v = file_read(path, 64, &text, NULL) == 0 ? limit(text) : UINT64_MAX;

		if (v < least)
			least = v;
		if (!slash)
			break;
		*slash = 0;
	}
	return least;
}

static uint32_t count_cpus(void)
{
	cpu_set_t set;
	uint64_t n = 1000, limit = cgroup_limit("cpu.max", limit_cpu_milli);

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = 1000ull * (unsigned)CPU_COUNT(&set);
	return (uint32_t)(n < limit ? n : limit);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* In the order of their names, so that an equal host says equal things. */
static void find_bridges(struct clu_capacity *c)
{
	struct dirent **list = NULL;
	int n = scandir("/sys/class/net", &list, NULL, by_name);
	unsigned used = 0;

	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *path = xasprintf("/sys/class/net/%s/bridge", list[i]->d_name);

		if (used < CLU_BRIDGES_MAX && strlen(list[i]->d_name) < CLU_WORD_MAX && access(path, F_OK) == 0)
			snprintf(c->bridge[used++], CLU_WORD_MAX, "%.31s", list[i]->d_name);
		free(list[i]);
	}
	free(list);
}

/* What its guests' states depend on, if the engine says so and the cluster knows it. */
static void add_build(struct hostengines *h, const struct hvcheck_engine *e)
{
	char word[CLU_WORD_MAX + HV_IDENTITY_MAX];

	if (!e->identity[0] || !clu_engine_named(e->name))
		return;
	snprintf(word, sizeof(word), "%.15s %.39s", e->name, e->identity);
	for (unsigned i = 0; i < CLU_BUILDS_MAX; i++)
		if (!h->build[i][0]) {
			snprintf(h->build[i], CLU_WORD_MAX, "%.31s", word);
			return;
		}
}

int hostinfo_engines(struct hostengines *ret, struct err *err)
{
	struct hvcheck_engine e[HVCHECK_ENGINES_MAX];
	int n = hvcheck_engines(e, err);
	char text[ERR_TEXT_MAX] = "";
	size_t at = 0;

	if (n < 0)
		return n;
	*ret = (struct hostengines){ 0 };
	for (int i = 0; i < n; i++) {
		if (e[i].runs) {
			ret->bits |= clu_engine_named(e[i].name);
			add_build(ret, &e[i]);
		}
		if (!e[i].runs && at < sizeof(text))
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%sno engine %s here: %s", at ? "; " : "",
			                       e[i].name, e[i].why);
	}
	if (err)
		snprintf(err->text, sizeof(err->text), "%s", text);
	return 0;
}

void hostinfo_capacity(const struct hostconf *conf, const struct hostengines *engines, struct clu_capacity *ret)
{
	uint64_t total = meminfo("MemTotal:"), limit = cgroup_limit("memory.max", limit_bytes),
		 reserve = conf->reserve_bytes;

	memset(ret, 0, sizeof(*ret));
	if (limit < total)
		total = limit;
	if (!reserve)
		reserve = total / 20 > RESERVE_MIN ? total / 20 : RESERVE_MIN;
	ret->mem_bytes = conf->memory_bytes ? conf->memory_bytes : total > reserve ? total - reserve : 0;
	ret->cpu_milli = conf->cpu_milli ? conf->cpu_milli : count_cpus();
	ret->engines = engines->bits;
	memcpy(ret->build, engines->build, sizeof(ret->build));
	cpu_features_bits(ret->cpu_bits);
	find_bridges(ret);
	memcpy(ret->label, conf->label, sizeof(ret->label));
}

/* Usage ---------------------------------------------------------------------------------------------------------------- */

uint32_t hostinfo_cpu(struct hostcpu *h, uint32_t cpus_milli)
{
	_cleanup_free_ char *text = NULL;
	uint64_t v[8] = { 0 }, busy, total;

	/* user nice system idle iowait irq softirq steal */
	if (file_read("/proc/stat", 16u << 20, &text, NULL) < 0 ||
	    sscanf(text,
	           "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
	           &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) != 8)
		return h->milli;
	busy = v[0] + v[1] + v[2] + v[5] + v[6] + v[7];
	total = busy + v[3] + v[4];
	if (h->total && total > h->total && busy >= h->busy) {
		uint32_t now = (uint32_t)((busy - h->busy) * cpus_milli / (total - h->total));

		h->milli = h->milli ? (h->milli * 7 + now) / 8 : now;
	}
	h->busy = busy;
	h->total = total;
	return h->milli;
}

uint64_t hostinfo_mem_used(void)
{
	uint64_t total = meminfo("MemTotal:"), avail = meminfo("MemAvailable:");

	return total > avail ? total - avail : 0;
}
