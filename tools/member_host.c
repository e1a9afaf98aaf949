/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files and units of a member: see member_host.h. What is only looked at is in member_check.c. */
#include "config.h"
#include "tools/member_host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "clusterd/guard/leaving.h"
#include "clusterd/guard/managed.h"
#include "common/util.h"
#include "tools/jsonconn.h"

#define AUTHKEY_BYTES 256u
#define BOUND_FILE    "hospes-leaves"
#define BOUND_S       120
#define GONE_FILE     "hospes-gone" /* names, one a line */
#define READ_LOOKS    10            /* in a second */

static char *corosync_file(const char *name)
{
	return xasprintf("%s/%s", secure_getenv("HOSPES_COROSYNCDIR") ?: "/etc/corosync", name);
}

/* Files ------------------------------------------------------------------------------------------------------------ */

int host_conf(char **ret_text, struct conf *ret, struct err *err)
{
	_cleanup_free_ char *path = corosync_file("corosync.conf"), *text = NULL;
	int r = file_read(path, CONF_BYTES_MAX, &text, NULL);

	if (r == -ENOENT)
		return err_set(err, ENOENT, "this host is in no cluster: there is no %s (vmclus init, vmclus join)",
		               path);
	if (r < 0)
		return err_sys(err, r, "read %s", path);
	r = conf_parse(text, ret, err);
	if (r < 0)
		return r;
	if (ret->sample)
		return err_set(err, ENOENT,
		               "this host is in no cluster: %s is Debian's example (vmclus init, vmclus join)", path);
	*ret_text = steal_ptr(&text);
	return 0;
}

int host_conf_write(const char *text, struct err *err)
{
	_cleanup_free_ char *path = corosync_file("corosync.conf");
	int r = file_write_atomic(path, text, strlen(text), 0644);

	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

int host_bind(struct err *err)
{
	_cleanup_free_ char *path = corosync_file(BOUND_FILE),
			    *text = xasprintf("%lld\n", (long long)time(NULL) + BOUND_S);
	int r = file_write_atomic(path, text, strlen(text), 0600);

	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

bool host_bound(void)
{
	_cleanup_free_ char *path = corosync_file(BOUND_FILE), *text = NULL;
	long long now = (long long)time(NULL), until;

	if (file_read(path, 64, &text, NULL) < 0)
		return false;
	until = strtoll(text, NULL, 10);
	return now < until && until <= now + BOUND_S;
}

bool host_asked(void)
{
	_cleanup_free_ char *path = corosync_file(BOUND_FILE);

	return access(path, F_OK) == 0;
}

void host_unbind(void)
{
	_cleanup_free_ char *path = corosync_file(BOUND_FILE);

	unlink(path);
}

static int authkey_put(const uint8_t *key, size_t len, struct err *err)
{
	_cleanup_free_ char *path = corosync_file("authkey");
	int r = file_write_atomic(path, key, len, 0400);

	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

char *host_authkey(bool make, struct err *err)
{
	_cleanup_free_ char *path = corosync_file("authkey"), *key = NULL;
	size_t len = AUTHKEY_BYTES;
	int r;

	if (make) {
		key = malloc(len);
		r = !key                                     ? err_sys(err, ENOMEM, "Corosync's key")
		    : getrandom(key, len, 0) != (ssize_t)len ? err_set(err, EIO, "no random numbers")
		                                             : authkey_put((uint8_t *)key, len, err);
	} else {
		r = file_read(path, AUTHKEY_MAX, &key, &len);
		if (r < 0)
			(void)err_sys(err, r, "read Corosync's key from %s", path);
	}
	if (r < 0)
		return NULL;
	char *hex = malloc(2 * len + 1);
	for (size_t i = 0; hex && i < len; i++)
		sprintf(hex + 2 * i, "%02x", (unsigned char)key[i]);
	explicit_bzero(key, len);
	if (!hex)
		(void)err_sys(err, ENOMEM, "Corosync's key");
	return hex;
}

int host_authkey_write(const char *hex, struct err *err)
{
	size_t len = strlen(hex) / 2;
	uint8_t key[AUTHKEY_MAX];

	if (len < 128 || len > sizeof(key) || strlen(hex) % 2 || strspn(hex, "0123456789abcdef") != 2 * len)
		return err_set(err, EPROTO, "the other host sent no key for Corosync");
	for (size_t i = 0; i < len; i++) {
		unsigned v = 0;

		(void)!sscanf(hex + 2 * i, "%2x", &v);
		key[i] = (uint8_t)v;
	}
	int r = authkey_put(key, len, err);
	explicit_bzero(key, sizeof(key));
	return r;
}

int host_pin(const struct peer *p, struct err *err)
{
	_cleanup_peers_ struct peers ps = { 0 };
	int r = peers_load(&ps, err);

	if (r < 0)
		return r;
	const struct peer *o = peers_by_name(&ps, p->name);
	if (o && o->port == p->port && !strcmp(o->address, p->address) && !strcmp(o->public_key, p->public_key))
		return 0;
	_cleanup_free_ char *at = xasprintf("%s:%u", p->address, p->port);
	return peer_add(p->name, at, p->public_key, err);
}

static json_t *peer_json(const char *name, const char *address, unsigned port, const char *key)
{
	return json_pack("{s:s, s:s, s:i, s:s}", "name", name, "address", address, "port", (int)port, "public_key",
	                 key);
}

int host_unpin(const struct node *self, const struct conf *old, const struct conf *now, struct err *err)
{
	for (unsigned i = 0; i < old->n; i++) {
		const char *name = old->node[i].name;
		struct err e = { 0 };

		if ((now && conf_named(now, name)) || !strcmp(name, self->name) || peer_remove(name, &e) == 0 ||
		    e.code == ENOENT)
			continue;
		return err_set(err, e.code, "%s", e.text);
	}
	return 0;
}

int host_gone_note(const struct node *self, const struct conf *old, const struct conf *now, struct err *err)
{
	_cleanup_free_ char *path = corosync_file(GONE_FILE), *names = strdup("");
	int r;

	for (unsigned i = 0; names && i < old->n; i++) {
		const char *name = old->node[i].name;

		if (conf_named(now, name) || !strcmp(name, self->name))
			continue;
		char *more = xasprintf("%s%s\n", names, name);
		free(names);
		names = more;
	}
	if (names && !*names)
		return 0;
	r = names ? file_write_atomic(path, names, strlen(names), 0600) : -ENOMEM;
	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

int host_gone_forget(const struct node *self, const struct conf *now, struct err *err)
{
	_cleanup_free_ char *path = corosync_file(GONE_FILE), *names = NULL;
	char *save = NULL;
	int r = file_read(path, CONF_BYTES_MAX, &names, NULL);

	if (r < 0)
		return r == -ENOENT ? 0 : err_sys(err, r, "read %s", path);
	for (char *name = strtok_r(names, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
		struct err e = { 0 };

		if (conf_named(now, name) || !strcmp(name, self->name) || peer_remove(name, &e) == 0 ||
		    e.code == ENOENT)
			continue;
		return err_set(err, e.code, "%s", e.text);
	}
	return unlink(path) < 0 && errno != ENOENT ? err_sys(err, errno, "remove %s", path) : 0;
}

json_t *host_peers(const struct node *self, const struct conf *c, const struct peer *add, struct err *err)
{
	_cleanup_peers_ struct peers ps = { 0 };
	_cleanup_json_ json_t *a = json_array();

	if (peers_load(&ps, err) < 0)
		return NULL;
	for (unsigned i = 0; i < c->n; i++) {
		const struct conf_node *n = &c->node[i];
		const struct peer *p = peers_by_name(&ps, n->name);

		if (add && !strcmp(n->name, add->name))
			continue;
		if (!strcmp(n->name, self->name)) {
			(void)json_array_append_new(a, peer_json(n->name, n->addr[0], self->port, self->public_key));
		} else if (p) {
			(void)json_array_append_new(a, peer_json(n->name, p->address, p->port, p->public_key));
		} else {
			(void)err_set(
				err, ENOENT,
				"%s is in the cluster, but this host does not know its key: vmmig peers add %s ...",
				n->name, n->name);
			return NULL;
		}
	}
	if (add)
		(void)json_array_append_new(a, peer_json(add->name, add->address, add->port, add->public_key));
	return steal_ptr(&a);
}

int host_peers_parse(const json_t *a, struct peers *ret, struct err *err)
{
	_cleanup_peers_ struct peers ps = { 0 };
	json_t *o;
	size_t i;

	if (!json_is_array(a) || json_array_size(a) > CONF_NODES_MAX)
		return err_set(err, EPROTO, "the message has no list of hosts");
	ps.p = calloc(json_array_size(a) + 1, sizeof(*ps.p));
	if (!ps.p)
		return err_sys(err, ENOMEM, "hosts");
	json_array_foreach(a, i, o)
	{
		_cleanup_free_ char *text = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY);
		int r = text ? peer_parse(text, strlen(text), "the message", &ps.p[ps.n], err) : -ENOMEM;

		if (r < 0)
			return r;
		ps.n++;
	}
	*ret = ps;
	ps = (struct peers){ 0 };
	return 0;
}

/* Units ------------------------------------------------------------------------------------------------------------ */

/* The last line that has letters, without what a terminal would make of it. */
static void last_line(char *said, char *to, size_t cap)
{
	char *line = said, *save = NULL;

	for (char *l = strtok_r(said, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		if (*l)
			line = l;
	snprintf(to, cap, "%s", line);
	text_tidy(to);
}

/* @said (of @cap octets): what it printed, or the end of that. */
static int run(const char *const *argv, char *said, size_t cap, struct err *err)
{
	_cleanup_close_ int out = -1;
	char line[256];
	size_t n = 0;
	int fd[2], status;

	*said = 0;
	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(err, errno, "%s", argv[0]);
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (null < 0 || dup2(null, 0) < 0 || dup2(fd[1], 1) < 0 || dup2(fd[1], 2) < 0)
			_exit(126);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		dprintf(2, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(fd[1]);
	out = fd[0];
	if (pid < 0)
		return err_sys(err, errno, "%s", argv[0]);
	for (;;) {
		char chunk[512];
		ssize_t got = read(out, chunk, sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		if (n + (size_t)got >= cap)
			n = 0; /* the end counts */
		memcpy(said + n, chunk, (size_t)got);
		n += (size_t)got;
		said[n] = 0;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	last_line(said, line, sizeof(line));
	return err_set(err, EIO, "%s %s failed: %s", argv[0], argv[1] ?: "", line[0] ? line : "it does not say why");
}

int host_run(const char *const *argv, struct err *err)
{
	char said[2048];

	return run(argv, said, sizeof(said), err);
}

static char *role_file(void)
{
	return xasprintf("%s/witness", path_conf());
}

bool host_is_witness(void)
{
	_cleanup_free_ char *path = role_file();

	return access(path, F_OK) == 0;
}

int host_witness_set(bool on, struct err *err)
{
	static const char text[] = "This host is a witness of its cluster: clusterd(8).\n";
	_cleanup_free_ char *path = role_file();
	int r = on ? file_write_atomic(path, text, sizeof(text) - 1, 0644) : unlink(path) < 0 ? -errno : 0;

	return r < 0 && (on || r != -ENOENT) ? err_sys(err, r, "%s %s", on ? "write" : "remove", path) : 0;
}

/* In the order of their start. */
static const struct {
	const char *name;
	bool domains; /* a witness has none */
} units[] = { { "hospes-member.socket", false },
	      { "corosync.service", false },
	      { "migrated.service", true },
	      { "hospes-guard.service", true },
	      { "clusterd.service", false } };

static int systemctl(const char *verb, const char *unit, struct err *err)
{
	const char *argv[] = { "systemctl", "--quiet", verb, unit, NULL };
	int r = host_run(argv, err);

	return r < 0 ? err_prefix(err, "systemctl %s %s: ", verb, unit) : 0;
}

int host_units_ready(bool witness, struct err *err)
{
	if (geteuid() != 0)
		return err_set(err, EPERM, "this changes the host's configuration: it has to be done as root");
	if (access("/run/systemd/system", F_OK) < 0)
		return err_set(err, ENOTSUP,
		               "this host's services are not systemd's: write corosync.conf and pin the peers by hand "
		               "(vmmig peers), and start the daemons");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		struct err e = { 0 };

		if (!(witness && units[i].domains) && systemctl("cat", units[i].name, &e) < 0)
			return err_set(err, ENOENT,
			               "there is no unit %s: install the packages hospes-cluster and corosync",
			               units[i].name);
	}
	return 0;
}

int host_clear(struct err *err)
{
	static const char *const files[] = { "state.db", "state.db-wal", "state.db-shm", "state.db-journal" };
	struct leaving none = { .stage = LEAVING_NOT };
	int here = managed_count_alive();
	int r = here < 0 ? err_sys(err, here, "domains of a cluster that run on this host")
	        : here > 0
	                ? err_set(err, EBUSY,
	                          "%d domains of a cluster run on this host: vmclus shutdown-host ends them in order",
	                          here)
	                : systemctl("stop", "clusterd.service", err);

	if (r == 0)
		r = systemctl("stop", "corosync.service", err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = xasprintf("%s/cluster/%s", path_state(), files[i]);

		if (unlink(path) < 0 && errno != ENOENT)
			r = err_sys(err, errno, "remove %s", path);
	}
	if (r < 0)
		return r;
	host_unbind();
	/* that this host left another cluster in this boot is no news to the next one */
	return leaving_save(&none, err);
}

int host_units_start(struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(units); i++) {
		if (host_is_witness() && units[i].domains)
			continue;
		r = systemctl("enable", units[i].name, err);
		if (r == 0)
			r = systemctl("start", units[i].name, err);
	}
	return r;
}

int host_units_stop(struct err *err)
{
	static const char *const stopped[] = { "clusterd.service", "corosync.service", "hospes-member.socket" };
	int r = host_is_witness() ? 0 : systemctl("disable", "hospes-guard.service", err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(stopped); i++) {
		r = systemctl("disable", stopped[i], err);
		if (r == 0)
			r = systemctl("stop", stopped[i], err);
	}
	return r;
}

/* totem.config_version that this Corosync goes by; 0: it does not run */
static uint64_t conf_runs(void)
{
	static const char *const look[] = { "corosync-cmapctl", "-g", "totem.config_version", NULL };
	char said[2048];
	struct err e = { 0 };
	const char *is = run(look, said, sizeof(said), &e) == 0 ? strrchr(said, '=') : NULL;

	return is ? strtoull(is + 1, NULL, 10) : 0;
}

static bool has_read(void)
{
	_cleanup_free_ char *text = NULL;
	struct err e = { 0 };
	struct conf c;

	return host_conf(&text, &c, &e) == 0 && conf_runs() == c.version;
}

/* Not when it has read the file already: Corosync 3.1 drops its links at each reload, for about a second. */
int host_reload(struct err *err)
{
	static const char *const argv[] = { "corosync-cfgtool", "-R", NULL };

	return has_read() ? 0 : host_run(argv, err);
}

int host_read(struct err *err)
{
	for (unsigned i = 0; i < READ_LOOKS && conf_runs() && !has_read(); i++)
		usleep(1000000 / READ_LOOKS);
	return conf_runs() ? host_reload(err) : 0; /* one that does not run reads it when it starts */
}

/* The cluster ------------------------------------------------------------------------------------------------------ */

int host_status(json_t **ret, struct err *err)
{
	static const struct jsonconn_peer clusterd = { .daemon = "clusterd",
		                                       .start = "systemctl start clusterd",
		                                       .expected = "a JSON object",
		                                       .lost = "vmclus status",
		                                       .line_bytes_max = 64u << 20,
		                                       .answer_s = 5 };
	_cleanup_jsonconn_ struct jsonconn c = { .fd = -1 };
	_cleanup_json_ json_t *o = NULL;
	uint64_t until = boot_ns() + 5 * NS_PER_S;
	int r = jsonconn_order(&c, &clusterd, json_pack("{s:s}", "op", "status"), err);

	while (r == 0 && !o) {
		struct pollfd fd = { .fd = c.fd, .events = POLLIN };

		r = jsonconn_recv(&c, false, &o, err);
		if (r == -EAGAIN || r == -EINTR)
			r = boot_ns() > until ? err_set(err, ETIMEDOUT, "clusterd does not answer") : 0;
		if (r == 0 && !o)
			(void)poll(&fd, 1, 200);
	}
	if (r == 0 && strcmp(field_text(o, "type"), "status") != 0)
		r = err_set(err, EIO, "clusterd: %s", field_text(o, "error"));
	if (r == 0)
		*ret = steal_ptr(&o);
	return r;
}

const char *host_state_of(const json_t *status, const char *name)
{
	json_t *h;
	size_t i;

	json_array_foreach(json_object_get(status, "hosts"), i,
	                   h) if (!strcmp(field_text(h, "name"), name)) return field_text(h, "state");
	return "";
}

/* Hosts that left the list are called removed-ID, and are in no list. */
static bool is_listed(const json_t *host)
{
	return strncmp(field_text(host, "name"), "removed-", 8) != 0;
}

int host_goes_by(const struct conf *c, struct err *err)
{
	_cleanup_json_ json_t *st = NULL;
	unsigned known = 0;
	int r = host_status(&st, err);
	json_t *h;
	size_t i;

	if (r < 0)
		return r;
	if (!field_true(st, "quorate"))
		return err_set(err, EAGAIN, "this host's cluster has no quorum (vmclus status)");
	json_array_foreach(json_object_get(st, "hosts"), i, h)
	{
		if (!is_listed(h))
			continue;
		known += conf_named(c, field_text(h, "name")) ? 1 : c->n + 1;
	}
	return known == c->n
	               ? 0
	               : err_set(err, EAGAIN,
	                         "the cluster does not go by version %" PRIu64
	                         " of the node list yet: has Corosync read its file on all hosts (corosync-cfgtool -R)?",
	                         c->version);
}

int host_wait(const char *name, unsigned wait_s, struct err *err)
{
	uint64_t until = boot_ns() + wait_s * NS_PER_S;

	for (;;) {
		_cleanup_json_ json_t *o = NULL;
		int r = host_status(&o, err);

		if (r == 0 && field_true(o, "quorate") && (!name || !strcmp(host_state_of(o, name), "online")))
			return 0;
		if (boot_ns() < until) {
			usleep(200000);
			continue;
		}
		if (r < 0)
			return err_prefix(err, "after %u s: ", wait_s);
		return field_true(o, "quorate")
		               ? err_set(err, ETIMEDOUT,
		                         "after %u s %s is not online; are the UDP ports 5405 and 5418 open between the hosts "
		                         "(journalctl -u corosync -u clusterd, on both)?",
		                         wait_s, name)
		               : err_set(err, ETIMEDOUT,
		                         "after %u s this host is not in a quorate cluster: %s; are the UDP ports 5405 and 5418 open "
		                         "between the hosts (journalctl -u corosync -u clusterd)?",
		                         wait_s,
		                         *field_text(o, "problem") ? field_text(o, "problem")
		                                                   : "the others do not hear it");
	}
}
