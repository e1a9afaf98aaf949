/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real guest on the device library alone: disk, net, console, balloon, and a whole save and load of all devices under load.
 * Run by devboot.sh:  devboot KERNEL DIR INITRD
 * The guest's side is devinit and devguest.c.
 */
#include "config.h"
#include "hypervisor/dev/vdev_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/util.h"
#include "hypervisor/dev/blkio.h"
#include "hypervisor/dev/vudev.h"

#define MEM_MIB   128ull
#define TIMEOUT_S 120

static const char *dir;
static struct dom_config cfg;
static struct devs *devs;
static struct guestmem mem;
static pid_t guest;
static int console = -1;
static int failures;

static void die(const char *what, const struct err *err)
{
	printf("FAIL: %s: %s\n", what, err ? err->text : strerror(errno));
	if (guest > 0)
		kill(-guest, SIGKILL);
	exit(1);
}

static void check(bool ok, const char *what, const char *detail)
{
	printf("%s %s%s%s\n", ok ? "ok  " : "FAIL", what, detail ? ": " : "", detail ? detail : "");
	failures += !ok;
}

/* Hosts of the two bulk tests: 5001 takes and checks a stream, 5002 gives one. */
static void *bulk_server(void *arg)
{
	int port = (int)(intptr_t)arg, one = 1;
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint8_t *buf = malloc(1 << 20), *want = malloc((1 << 20) + 251);

	for (size_t i = 0; i < (1 << 20) + 251; i++)
		want[i] = (uint8_t)(i % 251);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(l, 4) < 0)
		die("bind", NULL);
	for (;;) {
		int s = accept4(l, NULL, NULL, SOCK_CLOEXEC);
		uint64_t at = 0;
		ssize_t r;
		bool good = true;
		if (port == 5002) {
			while ((r = send(s, want + at % 251, 1 << 20, MSG_NOSIGNAL)) > 0)
				at += (uint64_t)r;
		} else {
			while ((r = read(s, buf, 1 << 20)) > 0) {
				good = good && !memcmp(buf, want + at % 251, (size_t)r);
				at += (uint64_t)r;
			}
			if (good && r == 0 && write(s, "", 1) != 1)
				die("ack", NULL);
			if (!good)
				check(false, "content of the stream from the guest", NULL);
		}
		close(s);
	}
	return NULL;
}

static void on_broken(void *arg, const char *name, const char *why)
{
	(void)arg;
	printf("FAIL device %s broken: %s\n", name, why);
	failures++;
}

static void make_config(void)
{
	char path[128];
	uint8_t *block = malloc(1 << 20);

	cfg.type = DOM_TYPE_UML;
	snprintf(cfg.name, sizeof(cfg.name), "devboot");
	cfg.memory_bytes = cfg.current_memory_bytes = MEM_MIB << 20;
	for (int i = 0; i < 2; i++) {
		struct dom_disk *k = &cfg.disk[cfg.n_disks++];
		snprintf(path, sizeof(path), "%s/disk%d.img", dir, i);
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		for (size_t n = 0; n < 1 << 20; n++)
			block[n] = (uint8_t)(n * 31 + n / 777);
		if (fd < 0 || ftruncate(fd, 64 << 20) < 0 || write(fd, block, 1 << 20) != 1 << 20)
			die(path, NULL);
		close(fd);
		k->source = strdup(path);
		snprintf(k->target, sizeof(k->target), "vd%c", 'a' + i);
		k->readonly = i == 1;
		k->discard = true;
		k->serial = strdup("hospes-0");
		k->cache = getenv("DEVBOOT_CACHE_NONE") ? DOM_CACHE_NONE : DOM_CACHE_DEFAULT;
	}
	free(block);
	struct dom_nic *n = &cfg.nic[cfg.n_nics++];
	snprintf(n->bridge, sizeof(n->bridge), "br0");
	snprintf(n->target, sizeof(n->target), "tapdev0");
	memcpy(n->mac, "\x52\x54\x00\x12\x34\x56", 6);
	snprintf(path, sizeof(path), "%s/hvc0.log", dir);
	cfg.console[cfg.n_consoles++] = (struct dom_char){ .type = DOM_CHAR_PTY, .log = strdup(path) };
	cfg.n_rngs = 1;
	cfg.balloon = true;
}

static void free_config(void)
{
	for (size_t i = 0; i < cfg.n_disks; i++) {
		free(cfg.disk[i].source);
		free(cfg.disk[i].serial);
	}
	free(cfg.console[0].log);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(sa.sun_path))
		die("the folder's name is too long for a socket", NULL);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	unlink(path);
	if (s < 0 || bind(s, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(s, 1) < 0)
		die(path, NULL);
	return s;
}

static void start_guest(const char *kernel, const char *initrd)
{
	char *argv[40], path[128];
	struct err err = { 0 };
	int n = 0;

	argv[n++] = xasprintf("%s", kernel);
	argv[n++] = xasprintf("mem=%lluM", MEM_MIB);
	argv[n++] = xasprintf("initrd=%s", initrd);
	argv[n++] = xasprintf("uml_dir=%s/", dir);
	argv[n++] = xasprintf("con0=null,fd:1");
	argv[n++] = xasprintf("con=null");
	argv[n++] = xasprintf("ssl=null");
	argv[n++] = xasprintf("noreboot");
	for (size_t i = 0; i < devs_count(devs); i++) {
		snprintf(path, sizeof(path), "%s/%s.sock", dir, devs_name(devs, i));
		if (vudev_listen(devs, i, listen_at(path), &err) < 0)
			die("attach", &err);
		argv[n++] = xasprintf("virtio_uml.device=%s:%u:%zu", path, devs_virtio_id(devs, i), i);
	}
	argv[n] = NULL;
	snprintf(path, sizeof(path), "%s/con0.log", dir);
	guest = fork();
	if (guest) {
		while (n)
			free(argv[--n]);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(out, 1);
	dup2(out, 2);
	setpgid(0, 0);
	setenv("TMPDIR", "/dev/shm", 1);
	setenv("HOME", dir, 1);
	execv(kernel, argv);
	_exit(127);
}

/* Next "DEV: ..." line of the guest into @line. */
static const char *guest_line(void)
{
	static char buf[65536];
	static size_t len;
	static char line[512];

	for (;;) {
		char *nl = memchr(buf, '\n', len);
		if (nl) {
			size_t k = (size_t)(nl - buf);
			snprintf(line, sizeof(line), "%.*s", (int)(k && buf[k - 1] == '\r' ? k - 1 : k), buf);
			len -= k + 1;
			memmove(buf, nl + 1, len);
			char *at = strstr(line, "DEV: ");
			if (at)
				return at + 5;
			if (*line)
				printf("     [%s]\n", line);
			continue;
		}
		struct pollfd p = { .fd = console, .events = POLLIN };
		if (poll(&p, 1, 60000) <= 0)
			die("nothing from the guest for a minute", NULL);
		ssize_t r = read(console, buf + len, sizeof(buf) - len);
		if (r <= 0)
			return "(end of the console)";
		len += (size_t)r;
	}
}

static void expect(const char *want, const char *what)
{
	const char *got = guest_line();

	check(!strncmp(got, want, strlen(want)), what, got);
}

static void type(const char *text)
{
	if (write(console, text, strlen(text)) != (ssize_t)strlen(text))
		die("console input", NULL);
}

static void md5_of(const char *path, int mib_at, int mib, char *ret)
{
	_cleanup_free_ char *cmd = xasprintf("dd if=%s bs=1M skip=%d count=%d 2>/dev/null | md5sum", path, mib_at, mib);
	FILE *f = popen(cmd, "re");

	if (!f || fscanf(f, "%32s", ret) != 1)
		die("md5sum", NULL);
	pclose(f);
}

static uint64_t mem_used(void)
{
	struct stat st;

	fstat(mem.fd, &st);
	return (uint64_t)st.st_blocks * 512;
}

static void stats(void)
{
	struct hv_stats st = { 0 };

	devs_stats(devs, &st);
	for (unsigned i = 0; i < st.n_devs; i++)
		printf("     %-8s rd %llu/%llu MB wr %llu/%llu MB flush %llu err %llu drop %llu\n", st.dev[i].name,
		       (unsigned long long)st.dev[i].rd_ops, (unsigned long long)st.dev[i].rd_bytes / 1000000,
		       (unsigned long long)st.dev[i].wr_ops, (unsigned long long)st.dev[i].wr_bytes / 1000000,
		       (unsigned long long)st.dev[i].flushes, (unsigned long long)st.dev[i].errors,
		       (unsigned long long)st.dev[i].drops);
}

static uint64_t dev_bytes_written(const char *name)
{
	struct hv_stats st = { 0 };

	devs_stats(devs, &st);
	for (unsigned i = 0; i < st.n_devs; i++)
		if (!strcmp(st.dev[i].name, name))
			return st.dev[i].wr_bytes;
	return 0;
}

static void balloon_test(void)
{
	struct err err = { 0 };
	char text[128];
	uint64_t mib = 1 << 20;

	expect("balloon", "memory used and free again");
	uint64_t before = mem_used();
	if (devs_balloon(devs, 72 * mib, &err) < 0)
		die("balloon", &err);
	for (int i = 0; i < 200 && devs_balloon_bytes(devs) != 56 * mib; i++)
		usleep(50000);
	snprintf(text, sizeof(text), "%llu MiB taken, memory file %llu -> %llu MiB",
	         (unsigned long long)(devs_balloon_bytes(devs) / mib), (unsigned long long)(before / mib),
	         (unsigned long long)(mem_used() / mib));
	check(devs_balloon_bytes(devs) == 56 * mib && dev_bytes_written("balloon0") >= 56 * mib && before > 80 * mib &&
	              mem_used() <= 73 * mib,
	      "balloon inflates", text);
	type("go\n");
	expect("ballooned", "the guest works with less");
	if (devs_balloon(devs, MEM_MIB * mib, &err) < 0)
		die("balloon", &err);
	for (int i = 0; i < 200 && devs_balloon_bytes(devs); i++)
		usleep(50000);
	check(devs_balloon_bytes(devs) == 0, "balloon deflates", NULL);
	type("go\n");
	expect("filled", "60 MiB filled");
	before = mem_used();
	type("go\n");
	for (int i = 0; i < 100 && mem_used() > before - 40 * mib; i++)
		usleep(100000);
	snprintf(text, sizeof(text), "%llu -> %llu MiB", (unsigned long long)(before / mib),
	         (unsigned long long)(mem_used() / mib));
	stats();
	check(mem_used() <= before - 40 * mib, "free pages are reported and become holes", text);
}

/* All devices into octets, into a new set, on with the same sockets: what a move does, but for the guest itself. */
static void handover(int round)
{
	_cleanup_buf_ struct buf state = { 0 };
	struct devs_events ev = { .broken = on_broken };
	struct err err = { 0 };
	size_t n = devs_count(devs);
	int sock[VDEV_MAX], req[VDEV_MAX], client;
	uint64_t t0 = now_ns();

	/* crude, at any point of the guest kernel: half a request in the socket must survive too */
	kill(guest, SIGSTOP);
	if (devs_quiesce(devs, &err) < 0 || devs_save(devs, &state, &err) < 0)
		die("save", &err);
	uint64_t t1 = now_ns();
	for (size_t i = 0; i < n; i++) {
		vudev_socks(devs, i, &sock[i], &req[i]);
		sock[i] = dup(sock[i]);
		req[i] = dup(req[i]);
	}
	client = console;
	devs_free(devs);
	if (devs_new(&cfg, &vudev_transport, &ev, &devs, &err) < 0)
		die("devs_new", &err);
	devs_set_mem(devs, &mem);
	if (devs_start(devs, &err) < 0)
		die("start", &err);
	struct rd rd = rd_of(state.data, state.len);
	if (devs_load(devs, &rd, &err) < 0)
		die("load", &err);
	check(rd.left == 0, "state read to its end", NULL);
	for (size_t i = 0; i < n; i++)
		if (vudev_pair(devs, i, sock[i], req[i], &err) < 0)
			die("attach", &err);
	if (devs_lock(devs, &err) < 0)
		die("lock", &err);
	console = devs_console(devs, 0, false, &err);
	if (console < 0)
		die("console", &err);
	uint64_t t2 = now_ns();
	if (devs_resume(devs, true, &err) < 0)
		die("resume", &err);
	uint64_t t3 = now_ns();
	devs_announce(devs);
	kill(guest, SIGCONT);
	close(client);
	printf("     handover %d: %zu octets of state, quiesce and save %.2f ms, resume %.2f ms, all %.1f ms\n", round,
	       state.len, (double)(t1 - t0) / 1e6, (double)(t3 - t2) / 1e6, (double)(now_ns() - t0) / 1e6);
}

/* The guest kernel makes its memory file, once its devices are connected to it: taken from its descriptors. -1: not yet. */
static int guest_memory(void)
{
	char path[64], to[256];

	for (int n = 3; n < 64; n++) {
		struct stat st;
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", guest, n);
		ssize_t len = readlink(path, to, sizeof(to) - 1);
		if (len < 0)
			continue;
		to[len] = 0;
		if (strstr(to, " (deleted)") && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		    st.st_size >= (off_t)(MEM_MIB << 20) && vudev_attached(devs, 0))
			return open(path, O_RDWR | O_CLOEXEC);
	}
	return -1;
}

static void boot(const char *kernel, const char *initrd)
{
	struct devs_events ev = { .broken = on_broken };
	struct err err = { 0 };
	int fd = -1;

	if (devs_new(&cfg, &vudev_transport, &ev, &devs, &err) < 0)
		die("devs_new", &err);
	if (devs_lock(devs, &err) < 0 || devs_start(devs, &err) < 0)
		die("start", &err);
	printf("     io_uring: %s\n", blkio_uses_uring(devs->blkio) ? "yes" : "no");
	console = devs_console(devs, 0, false, &err);
	if (console < 0)
		die("console", &err);
	check(devs_console(devs, 0, false, &err) == -EBUSY, "a second console client is refused", err.text);
	start_guest(kernel, initrd);
	for (int i = 0; i < 500 && fd < 0; i++) {
		usleep(20000);
		fd = guest_memory();
	}
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		die("the guest has no memory file", NULL);
	if (guestmem_init(&mem, fd, (uint64_t)st.st_size & ~4095ull, &err) < 0)
		die("memory", &err);
	devs_set_mem(devs, &mem);
}

static void run(void)
{
	char want[128], sum[64], image[128];

	snprintf(image, sizeof(image), "%s/disk0.img", dir);
	expect("up ", "guest is up");
	type("hello hospes\n");
	expect("echo hello hospes", "console echo");
	md5_of(image, 0, 1, sum);
	snprintf(want, sizeof(want), "sum %s", sum);
	expect(want, "disk read");
	expect("serial hospes-0", "disk serial");
	expect("ro 1", "read-only disk");
	expect("disk ", "disk in odd shapes");
	char written[64] = "";
	snprintf(written, sizeof(written), "%s", guest_line());
	check(!strncmp(written, "written ", 8), "disk write", written);
	snprintf(want, sizeof(want), "reread %s", written + 8);
	expect(want, "disk read again");
	md5_of(image, 32, 8, sum);
	check(!strcmp(sum, written + 8), "disk content in the image", sum);
	expect("mac 52:54:00:12:34:56", "MAC");
	expect("ping 0% packet loss", "ping");
	expect("send ", "bulk from the guest");
	expect("recv ", "bulk to the guest");
	balloon_test();
	expect("load", "load runs");
	for (int i = 0; i < 5; i++) {
		usleep(400000);
		handover(i + 1);
	}
	const char *got;
	/* a console client sees the last output again after each handover */
	while (strncmp(got = guest_line(), "load ping", 9))
		;
	/* the tap itself goes away and comes back here: what was queued in it is lost */
	check(atoi(got + 10) <= 10, "few pings lost", got);
	expect("load send ", "the stream survived");
	expect("load disks 6", "the disk loops survived");
	expect("done", "the guest's end");
}

int main(int argc, char **argv)
{
	pthread_t t;
	int status;

	if (argc != 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	alarm(TIMEOUT_S);
	dir = argv[2];
	make_config();
	pthread_create(&t, NULL, bulk_server, (void *)5001);
	pthread_create(&t, NULL, bulk_server, (void *)5002);
	boot(argv[1], argv[3]);
	run();
	stats();
	if (waitpid(guest, &status, 0) != guest)
		die("waitpid", NULL);
	kill(-guest, SIGKILL); /* processes that it forgot */
	check(WIFEXITED(status) || WIFSIGNALED(status), "the guest kernel ended", NULL);
	usleep(100000);
	check(!vudev_attached(devs, 0), "its end was seen", NULL);
	devs_free(devs);
	guestmem_done(&mem);
	free_config();
	printf("%s\n", failures ? "FAILED" : "PASSED");
	return failures ? 1 : 0;
}
