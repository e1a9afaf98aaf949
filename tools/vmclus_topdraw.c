/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus top: a report of clusterd as lines of a terminal. No I/O here. */
#include "config.h"
#include "tools/vmclus_top_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "common/loop.h"
#include "common/util.h"

#define BOLD    "\033[1m"
#define INVERSE "\033[7m"
#define RED     "\033[31m"
#define YELLOW  "\033[33m"
#define GREEN   "\033[32m"
#define PLAIN   "\033[0m"

struct frame {
	struct buf *b;
	unsigned cols, left; /* lines that still fit */
};

static void put(struct buf *b, const char *text)
{
	buf_put(b, text, strlen(text));
}

/* One line: cut at the right edge (columns, not octets), padded so that old text goes. */
__attribute__((format(printf, 3, 4))) static void line(struct frame *f, const char *style, const char *fmt, ...)
{
	char text[1024];
	unsigned width = 0;
	size_t len = 0;
	va_list ap;

	if (!f->left)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (; text[len]; len++) {
		bool begins = ((unsigned char)text[len] & 0xc0) != 0x80;

		if (begins && width == f->cols)
			break;
		if ((unsigned char)text[len] < ' ')
			text[len] = '?';
		width += begins;
	}
	put(f->b, style);
	buf_put(f->b, text, len);
	if (*style == '\033' && !strcmp(style, INVERSE))
		for (; width < f->cols; width++)
			buf_put_u8(f->b, ' ');
	put(f->b, PLAIN "\033[K");
	if (--f->left)
		put(f->b, "\r\n");
}

static unsigned count_on(const struct top *t, const char *host)
{
	unsigned n = 0;
	json_t *d;
	size_t i;

	json_array_foreach(json_object_get(t->status, "domains"), i, d) n += !strcmp(field_text(d, "host"), host);
	return n;
}

static void draw_head(struct top *t, struct frame *f)
{
	json_t *hosts = json_object_get(t->status, "hosts"), *disarm = json_object_get(t->status, "disarm"), *h;
	char clock[16] = "";
	time_t now = time(NULL);
	struct tm tm;
	size_t online = 0, i;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	if (!t->status) {
		line(f, BOLD, "vmclus top  %s", clock);
	} else {
		json_array_foreach(hosts, i, h) online += !strcmp(field_text(h, "state"), "online");
		bool quorate = field_true(t->status, "quorate");
		line(f, quorate ? BOLD : BOLD RED,
		     "vmclus top  %s  on %s: %s, %zu of %zu hosts online, generation %.0f", clock,
		     field_text(t->status, "host"), quorate ? "quorate" : "NOT QUORATE", online, json_array_size(hosts),
		     field_num(t->status, "generation"));
	}
	if (!*t->trouble && json_is_object(disarm))
		line(f, BOLD RED, "DISARMED for another %.0f s: nothing is lost, fenced or started: %s",
		     field_num(disarm, "left_s"), field_text(disarm, "reason"));
	else if (*t->trouble)
		line(f, RED, "%s", t->trouble);
	else
		line(f, "", "%s", "");
}

static void draw_host(struct top *t, struct frame *f, const json_t *h, unsigned width)
{
	double cpu = field_num(h, "cpu_used"), cpus = field_num(h, "cpu_total"), mem = field_num(h, "mem_used_bytes"),
	       mems = field_num(h, "mem_total_bytes");
	const char *state = field_text(h, "state"), *name = field_text(h, "name"), *safe_by = field_text(h, "safe_by");
	bool online = !strcmp(state, "online"), rest = field_true(h, "maintenance"), votes = vmclus_is_witness(h);
	char a[64], b[64], used[32], total[32];

	line(f,
	     !online ? RED
	     : rest  ? YELLOW
	             : "",
	     "%-12.12s %-8s %s %4.1f/%-3.0f %s %9s/%-9s %4u  %s", name,
	     votes && online  ? "witness"
	     : rest && online ? "drained"
	                      : state,
	     cli_bar(a, width, cpu, cpus), cpu, cpus, cli_bar(b, width, mem, mems),
	     size_format((uint64_t)mem, used, sizeof(used)), size_format((uint64_t)mems, total, sizeof(total)),
	     count_on(t, name), online || !strcmp(safe_by, "none") ? "" : safe_by);
}

static void draw_hosts(struct top *t, struct frame *f)
{
	json_t *hosts = json_object_get(t->status, "hosts"), *h;
	unsigned width = f->cols > 74 ? (f->cols - 62) / 2 : 6, room = f->left / 2;
	size_t i;

	if (width > 40)
		width = 40;
	line(f, BOLD, "%-12s %-8s %-*s %8s %-*s %19s %4s", "HOST", "STATE", (int)width + 2, "CPU", "", (int)width + 2,
	     "MEMORY", "", "DOMS");
	json_array_foreach(hosts, i, h)
	{
		if (i + 1 >= room && i + 1 < json_array_size(hosts)) {
			line(f, "", "... and %zu more hosts", json_array_size(hosts) - i);
			break;
		}
		draw_host(t, f, h, width);
	}
	line(f, "", "%s", "");
}

static void draw_migrations(struct top *t, struct frame *f)
{
	unsigned n = 0;
	json_t *d;
	size_t i;

	json_array_foreach(json_object_get(t->status, "domains"), i, d)
	{
		if (strcmp(field_text(d, "operation"), "migrate") != 0)
			continue;
		double ns = field_num(t->since, field_text(d, "name"));
		if (!n++)
			line(f, BOLD, "MIGRATIONS");
		if (n <= 8)
			line(f, GREEN, "%-20s %s > %s  %.1f s", field_text(d, "name"), field_text(d, "host"),
			     field_text(d, "target"), ((double)now_ns() - ns) / 1e9);
	}
	if (n > 8)
		line(f, "", "... and %u more", n - 8);
	if (n)
		line(f, "", "%s", "");
}

static int compare_key(const json_t *a, const json_t *b, enum top_sort sort)
{
	static const char *const key[] = { [TOP_BY_NAME] = "name",
		                           [TOP_BY_HOST] = "host",
		                           [TOP_BY_STATE] = "state",
		                           [TOP_BY_CPU] = "cpu_used",
		                           [TOP_BY_MEM] = "mem_bytes" };

	if (sort == TOP_BY_CPU || sort == TOP_BY_MEM) {
		double x = field_num(a, key[sort]), y = field_num(b, key[sort]);

		return x < y ? 1 : x > y ? -1 : 0; /* the largest first */
	}
	return strcmp(field_text(a, key[sort]), field_text(b, key[sort]));
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct top *t = arg;
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int r = compare_key(x, y, t->sort) ?: compare_key(x, y, TOP_BY_NAME);

	return t->reverse ? -r : r;
}

static void draw_domain(struct frame *f, const json_t *d, bool selected)
{
	const char *state = field_text(d, "state"), *host = field_text(d, "host"), *target = field_text(d, "target");
	bool bad = !strcmp(state, "failed") || !strcmp(state, "unknown");
	char where[160], mem[32];

	snprintf(where, sizeof(where), "%s%s%s", *host ? host : "-", *target ? " > " : "", target);
	line(f,
	     selected ? INVERSE
	     : bad    ? RED
	              : "",
	     "%-20.20s %-10s %-8s %-21s %5.0f %5.2f %9s  %s", field_text(d, "name"), state, field_text(d, "desired"),
	     where, field_num(d, "generation"), field_num(d, "cpu_used"),
	     size_format((uint64_t)field_num(d, "mem_bytes"), mem, sizeof(mem)), field_text(d, "text"));
}

static void draw_domains(struct top *t, struct frame *f)
{
	json_t *list = json_object_get(t->status, "domains");
	size_t n = json_array_size(list);
	_cleanup_free_ json_t **d = calloc(n + 1, sizeof(*d));

	line(f, BOLD, "%-20s %-10s %-8s %-21s %5s %5s %9s  %s", "DOMAIN", "STATE", "DESIRED", "HOST", "GEN", "CPU",
	     "MEMORY", "NOTE");
	if (!d || f->left < 2)
		return;
	long room = (long)f->left - 1;
	for (size_t i = 0; i < n; i++)
		d[i] = json_array_get(list, i);
	qsort_r(d, n, sizeof(*d), compare, t);
	if (t->selected >= (long)n)
		t->selected = (long)n - 1;
	if (t->selected < 0)
		t->selected = 0;
	if (t->first > t->selected)
		t->first = t->selected;
	if (t->first < t->selected - room + 1)
		t->first = t->selected - room + 1;
	for (long i = t->first; i < (long)n && i < t->first + room; i++)
		draw_domain(f, d[i], i == t->selected);
}

void top_draw(struct top *t, struct buf *b)
{
	static const char *const by[] = { "name", "host", "state", "CPU", "memory" };
	struct frame f = { .b = b, .cols = t->cols, .left = t->rows };

	put(b, "\033[H");
	draw_head(t, &f);
	if (t->status && f.left > 4) {
		draw_hosts(t, &f);
		draw_migrations(t, &f);
		draw_domains(t, &f);
	}
	while (f.left > 1)
		line(&f, "", "%s", "");
	line(&f, INVERSE, "q quit  arrows choose  n name  h host  s state  c CPU  m memory  r reverse   by %s%s",
	     by[t->sort], t->reverse ? ", reversed" : "");
}
