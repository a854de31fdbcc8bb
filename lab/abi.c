// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Asks a host all that concerns confidential guests, with good input and with
 * bad, and prints an answer a line: what two kernels print can be compared.
 *
 *	what = value or errno
 *
 * LAUNCH_UPDATE without a source is left out: 7.2 warns then (snp_launch_test).
 * Numbers are the ABI's own, not those of the headers of whoever builds this.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

#define CREATE_VM		0xae01
#define CHECK_EXTENSION		0xae03
#define CREATE_VCPU		0xae41
#define RUN			0xae80
#define GET_REGS		0x8090ae81
#define SET_REGS		0x4090ae82
#define GET_SREGS		0x8138ae83
#define SET_SREGS		0x4138ae84
#define GET_FPU			0x81a0ae8c
#define SET_FPU			0x41a0ae8d
#define GET_MP_STATE		0x8004ae98
#define SET_MP_STATE		0x4004ae99
#define SET_GUEST_DEBUG		0x4048ae9b
#define GET_VCPU_EVENTS		0x8040ae9f
#define SET_VCPU_EVENTS		0x4040aea0
#define GET_DEBUGREGS		0x8080aea1
#define SET_DEBUGREGS		0x4080aea2
#define SET_TSC_KHZ		0xaea2
#define ENABLE_CAP		0x4068aea3
#define GET_XSAVE		0x9000aea4
#define SET_XSAVE		0x5000aea5
#define GET_XCRS		0x8188aea6
#define SET_XCRS		0x4188aea7
#define ENCRYPT_OP		0xc008aeba
#define REG_REGION		0x8010aebb
#define UNREG_REGION		0x8010aebc
#define SET_REGION		0x4020ae46
#define SET_REGION2		0x40a0ae49
#define SET_ATTRIBUTES		0x4020aed2
#define CREATE_GMEM		0xc040aed4
#define PRE_FAULT		0xc040aed5
#define GET_ATTR		0x4018aee2
#define HAS_ATTR		0x4018aee3
#define SEV_CMD			0xc0105300

enum { INIT, ES_INIT, INIT2 = 22, START = 100, UPDATE, FINISH, CERTS };
enum { DEFAULT, PROTECTED, SEV, SEV_ES, SNP };

#define GPA			0x100000ull
#define PAGES			16
#define MBO			(1ull << 17)
#define SMT			(1ull << 16)

struct cmd { uint32_t id, pad; uint64_t data; uint32_t error, fd; };
struct init2 { uint64_t features; uint32_t flags; uint16_t ghcb, pad; uint32_t pad2[8]; };
struct start { uint64_t policy; uint8_t gosvw[16]; uint16_t flags; uint8_t pad[38]; };
struct update { uint64_t gfn, uaddr, len; uint8_t type, pad; uint16_t flags; uint32_t pad1; uint64_t pad2[4]; };
struct finish { uint64_t block, auth; uint8_t block_en, auth_en, vcek, host[32], pad[3]; uint16_t flags; uint64_t pad1[4]; } __attribute__((packed));
struct region { uint32_t slot, flags; uint64_t gpa, size, uaddr, offset; int32_t fd; uint32_t pad; uint64_t pad2[14]; };
struct attrs { uint64_t gpa, size, attrs, flags; };
struct gmem { uint64_t size, flags, pad[6]; };
struct range { uint64_t gpa, size, flags, pad[5]; };
struct attr { uint32_t flags, group; uint64_t attr, addr; };
struct cap { uint32_t cap, flags; uint64_t args[4]; uint8_t pad[64]; };

static int kvm, sev, sev_ro;
static uint8_t *memory;		/* what the guests' slots have */

static uint64_t at(const void *p)
{
	return (uintptr_t)p;
}

/*
 * What the kernel's own audit of the RMP, if it has one, counts of states and
 * owners; how often it changed something it also counts, but that is no state.
 * It takes its time: asked about SNP guests' calls only.
 */
#define AUDIT			"/sys/kernel/debug/sev-snp/audit"

static bool watched;
static char census[8192];	/* before the call; empty: not known */
static unsigned int noticed;	/* a call that was done, and changed it */

static void take_census(char *to, size_t room)
{
	int error = errno;	/* perhaps of the call that is told of */
	FILE *f = watched ? fopen(AUDIT, "r") : NULL;
	char line[128];
	size_t n = 0;

	to[0] = 0;
	if (watched && !f && errno != ENOENT) {
		perror(AUDIT);
		exit(1);
	}
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "rmpupdate", 9) || !strncmp(line, "psmash", 6))
			continue;
		n += snprintf(to + n, room - n, "%s", line);
		if (n >= room) {
			printf("the audit is too long\n");
			exit(1);
		}
	}
	if (f)
		fclose(f);
	errno = error;
}

/* Has the call changed what the audit says? */
static bool changed(void)
{
	static char now[sizeof(census)];

	if (!census[0])
		return false;
	take_census(now, sizeof(now));
	return strcmp(now, census);
}

/* Prints what came of a call; returns it. */
static long told(long ret, const char *format, ...)
{
	int error = errno;
	char what[128];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	if (ret < 0)
		printf("%s = %s\n", what, strerrorname_np(error));
	else
		printf("%s = %ld\n", what, ret);
	/* once is enough to know that it would be noticed */
	if ((ret < 0 || !noticed) && changed()) {
		if (ret < 0)
			printf("%s, refused: changed the RMP = 1\n", what);
		else
			noticed++;
	}
	return ret;
}

/* The call is made between the two. What is refused changes nothing. */
#define says(call, ...) (take_census(census, sizeof(census)), \
			 told((call), __VA_ARGS__))

static int vm_new(int type)
{
	int vm = ioctl(kvm, CREATE_VM, (long)type);

	return vm;
}

static int op_fd(int vm, uint32_t id, const void *data, int fd)
{
	struct cmd c = { .id = id, .data = at(data), .fd = fd };

	return ioctl(vm, ENCRYPT_OP, &c);
}

static int op(int vm, uint32_t id, const void *data)
{
	return op_fd(vm, id, data, sev);
}

static void capabilities(void)
{
	static const int caps[] = {
		197, 201, 206, 209, 215, 231, 232, 233, 234, 235, 236, 244,
	};
	unsigned int i;
	int type, vm;

	for (i = 0; i < ARRAY_SIZE(caps); i++)
		says(ioctl(kvm, CHECK_EXTENSION, caps[i]), "capability %d",
		     caps[i]);
	for (type = -1; type < 8; type++) {
		vm = vm_new(type);
		says(vm < 0 ? vm : 0, "VM of type %d", type);
		if (vm < 0)
			continue;
		for (i = 0; i < ARRAY_SIZE(caps); i++)
			says(ioctl(vm, CHECK_EXTENSION, caps[i]),
			     "VM of type %d, capability %d", type, caps[i]);
		close(vm);
	}
}

static void attributes(void)
{
	uint64_t value;
	unsigned int group, attr, flags;
	int ret;

	for (group = 0; group < 3; group++) {
		for (attr = 0; attr < 5; attr++) {
			for (flags = 0; flags < 2; flags++) {
				struct attr a = { flags, group, attr, at(&value) };

				says(ioctl(kvm, HAS_ATTR, &a),
				     "has attribute %u:%u flags %u", group,
				     attr, flags);
				value = 0;
				ret = ioctl(kvm, GET_ATTR, &a);
				says(ret, "attribute %u:%u flags %u", group,
				     attr, flags);
				if (!ret)
					printf("attribute %u:%u is %#llx\n",
					       group, attr,
					       (unsigned long long)value);
				a.addr = 8;
				says(ioctl(kvm, GET_ATTR, &a),
				     "attribute %u:%u flags %u to nowhere",
				     group, attr, flags);
			}
		}
	}
}

/* Each command on a fresh VM of each type, before anything else. */
static void first_commands(void)
{
	static uint8_t zeros[4096];
	int type, id, vm;

	for (type = DEFAULT; type <= SNP; type++) {
		vm = vm_new(type);
		if (vm < 0)
			continue;
		says(ioctl(vm, ENCRYPT_OP, NULL), "type %d, no command", type);
		says(ioctl(vm, ENCRYPT_OP, 8), "type %d, command nowhere", type);
		close(vm);
		for (id = 0; id < 107; id++) {
			if (id > 24 && id < 98)
				continue;
			vm = vm_new(type);
			says(op(vm, id, NULL), "type %d, command %d without data",
			     type, id);
			close(vm);
			vm = vm_new(type);
			says(op(vm, id, zeros), "type %d, command %d of zeros",
			     type, id);
			says(op(vm, id, zeros), "type %d, command %d of zeros again",
			     type, id);
			memset(zeros, 0, sizeof(zeros));
			close(vm);
		}
		vm = vm_new(type);
		says(op(vm, ~0u, zeros), "type %d, command -1", type);
		close(vm);
	}
}

static void inits(void)
{
	int type, i, vm, vcpu;

	for (type = DEFAULT; type <= SNP; type++) {
		for (i = 0; i < 64; i++) {
			struct init2 d = { .features = 1ull << i };

			vm = vm_new(type);
			if (vm < 0)
				break;
			says(op(vm, INIT2, &d), "type %d, INIT2, feature %d",
			     type, i);
			close(vm);
		}
		for (i = 0; i < 6; i++) {
			struct init2 d = { .ghcb = i < 5 ? i : 0xffff };

			vm = vm_new(type);
			if (vm < 0)
				break;
			says(op(vm, INIT2, &d), "type %d, INIT2, GHCB %d", type,
			     d.ghcb);
			close(vm);
		}
		for (i = 0; i < 4; i++) {
			struct init2 d = { .flags = i == 0, .pad = i == 1 };

			d.pad2[0] = i == 2;
			d.pad2[7] = i == 3;
			vm = vm_new(type);
			if (vm < 0)
				break;
			says(op(vm, INIT2, &d), "type %d, INIT2, field %d",
			     type, i);
			close(vm);
		}
		vm = vm_new(type);
		if (vm >= 0) {
			struct init2 d = { 0 };

			vcpu = ioctl(vm, CREATE_VCPU, 0);
			says(vcpu < 0 ? vcpu : 0, "type %d, vCPU before INIT2",
			     type);
			says(ioctl(vcpu, RUN, 0), "type %d, run before INIT2",
			     type);
			says(op(vm, INIT2, &d), "type %d, INIT2 after a vCPU",
			     type);
			close(vcpu);
			close(vm);
		}
		vm = vm_new(type);
		if (vm >= 0) {
			struct init2 d = { 0 };

			says(op_fd(vm, INIT2, &d, -1), "type %d, INIT2, no device",
			     type);
			says(op(vm, INIT2, &d), "type %d, INIT2 twice", type);
			says(op(vm, INIT, NULL), "type %d, INIT after INIT2",
			     type);
			close(vm);
		}
	}
}

struct guest { int vm, fd, vcpu; };

/* An SNP VM with memory, private in its first half, and perhaps a vCPU. */
static struct guest snp_new(int vcpus)
{
	struct guest g = { vm_new(SNP), -1, -1 };
	struct cap hypercall = { .cap = 201, .args = { 1 << 12 } };
	struct gmem file = { .size = PAGES * 4096 };
	struct region r = {
		.flags = 4, .gpa = GPA, .size = PAGES * 4096,
	};
	struct attrs a = { GPA, PAGES / 2 * 4096, 8, 0 };
	struct init2 d = { 0 };

	if (g.vm < 0)
		return g;
	ioctl(g.vm, ENABLE_CAP, &hypercall);
	if (op(g.vm, INIT2, &d))
		return g;
	g.fd = ioctl(g.vm, CREATE_GMEM, &file);
	r.uaddr = at(memory);
	r.fd = g.fd;
	if (ioctl(g.vm, SET_REGION2, &r) || ioctl(g.vm, SET_ATTRIBUTES, &a))
		printf("no memory: %s\n", strerrorname_np(errno));
	if (vcpus)
		g.vcpu = ioctl(g.vm, CREATE_VCPU, 0);
	return g;
}

static void drop(struct guest *g)
{
	close(g->vcpu);
	close(g->fd);
	close(g->vm);
}

static struct start policy(uint64_t bits)
{
	return (struct start){ .policy = bits };
}

static void starts(void)
{
	struct start s = policy(MBO | SMT);
	struct guest g;
	int i;

	for (i = 0; i < 64; i++) {
		s = policy(MBO | SMT | 1ull << i);
		g = snp_new(0);
		says(op(g.vm, START, &s), "START, policy bit %d", i);
		drop(&g);
	}
	s = policy(SMT);
	g = snp_new(0);
	says(op(g.vm, START, &s), "START, bit 17 missing");
	s = policy(MBO);
	says(op(g.vm, START, &s), "START, no SMT");
	s = policy(MBO | SMT);
	s.flags = 1;
	says(op(g.vm, START, &s), "START, flags");
	s.flags = 0;
	s.pad[37] = 1;
	says(op_fd(g.vm, START, &s, -1), "START, no device");
	says(op_fd(g.vm, START, &s, 0), "START, another device");
	says(op(g.vm, START, (void *)8), "START, nowhere");
	says(op_fd(g.vm, START, &s, sev_ro), "START, padding, read-only device");
	says(op(g.vm, START, &s), "START twice");
	says(op(g.vm, 2, &s), "LAUNCH_START of SEV after START");
	drop(&g);
	for (i = 0; i < (int)sizeof(s.pad); i++) {
		s = policy(MBO | SMT);
		s.pad[i] = 1;
		g = snp_new(0);
		says(op(g.vm, START, &s), "START, padding %d", i);
		drop(&g);
	}
	g = snp_new(0);
	s = policy(MBO | SMT);
	{
		struct cmd c = { START, 1, at(&s), 0, sev };

		says(ioctl(g.vm, ENCRYPT_OP, &c), "START, the command's padding");
	}
	drop(&g);
}

/* Context of another VM: none of these has any. */
static void enable_caps(void)
{
	static const int caps[] = { 197, 206 };
	static const char * const from[] = {
		"nowhere", "/dev/kvm", "/dev/sev", "itself", "a plain VM",
		"a SEV VM", "a SEV-ES VM", "an SNP VM",
	};
	int fds[ARRAY_SIZE(from)] = { -1, kvm, sev, 0, vm_new(DEFAULT),
				      vm_new(SEV), vm_new(SEV_ES), vm_new(SNP) };
	struct init2 d = { 0 };
	unsigned int i, n, inited;
	int type, vm;

	for (type = DEFAULT; type <= SNP; type++) {
		for (i = 0; i < 6; i++) {
			struct cap c = { .cap = 201 };

			c.args[0] = i == 0 ? 0 : i == 1 ? 1 << 11 :
				    i == 2 ? ~0ull : 1 << 12;
			c.args[1] = i == 3;
			c.flags = i == 4;
			c.pad[63] = i == 5;
			vm = vm_new(type);
			if (vm < 0)
				break;
			says(ioctl(vm, ENABLE_CAP, &c),
			     "type %d, hypercalls, field %d", type, i);
			close(vm);
		}
	}
	for (inited = 0; inited < 2; inited++) {
		for (i = 5; inited && i < ARRAY_SIZE(from); i++)
			says(op(fds[i], INIT2, &d), "INIT2 of %s", from[i]);
		for (n = 0; n < ARRAY_SIZE(caps) * ARRAY_SIZE(from) * 5; n++) {
			struct cap c = { .cap = caps[n % 2] };

			i = n / 2 % ARRAY_SIZE(from);
			type = n / 2 / ARRAY_SIZE(from);
			vm = vm_new(type);
			/* what moves takes the context with it */
			if (vm < 0 || (inited && i > 4 && c.cap == 206)) {
				close(vm);
				continue;
			}
			c.args[0] = i == 3 ? vm : fds[i];
			says(ioctl(vm, ENABLE_CAP, &c),
			     "type %d, capability %d from %s, %s", type, c.cap,
			     from[i], inited ? "that has INIT2" : "as it is");
			close(vm);
		}
	}
	for (i = 4; i < ARRAY_SIZE(from); i++)
		close(fds[i]);
}

/* What belongs to SNP VMs, of others; and of the wrong file. */
static void wrong_types(void)
{
	struct attr a = { 0, 0, 0, at(memory) };
	struct range p = { GPA, 4096, 0, { 0 } };
	struct gmem file = { .size = PAGES * 4096 };
	struct region r = { .flags = 4, .gpa = GPA, .size = PAGES * 4096 };
	struct cmd c = { .id = INIT2, .data = at(memory), .fd = sev };
	int type, vm, fd, vcpu;

	for (type = DEFAULT; type < SNP; type++) {
		vm = vm_new(type);
		if (vm < 0)
			continue;
		fd = ioctl(vm, CREATE_GMEM, &file);
		says(fd < 0 ? fd : 0, "type %d, guest_memfd", type);
		r.uaddr = at(memory);
		r.fd = fd;
		says(ioctl(vm, SET_REGION2, &r), "type %d, private slot", type);
		says(ioctl(vm, REG_REGION, (uint64_t[]){ at(memory), 4096 }),
		     "type %d, a region to encrypt", type);
		says(ioctl(vm, HAS_ATTR, &a), "type %d, attribute of the VM", type);
		vcpu = ioctl(vm, CREATE_VCPU, 0);
		says(ioctl(vcpu, PRE_FAULT, &p), "type %d, pre-fault", type);
		says(ioctl(vcpu, HAS_ATTR, &a), "type %d, attribute of a vCPU",
		     type);
		says(ioctl(vcpu, ENCRYPT_OP, &c), "type %d, command to a vCPU",
		     type);
		close(vcpu);
		close(fd);
		close(vm);
	}
	says(ioctl(kvm, ENCRYPT_OP, &c), "command to /dev/kvm");
	a.addr = at(memory) + 1;
	a.attr = 1;
	says(ioctl(kvm, GET_ATTR, &a), "attribute to an odd address");
}

#define RACES			200

struct race { int vm, type, ret, error; };

static void *register_region(void *arg)
{
	struct race *r = arg;

	r->ret = ioctl(r->vm, REG_REGION, (uint64_t[]){ at(memory), 4096 });
	r->error = errno;
	return NULL;
}

static void *copy_context(void *arg)
{
	struct race *r = arg;
	struct cap c = { .cap = 197, .args = { r->vm } };
	int vm = vm_new(r->type);

	r->ret = ioctl(vm, ENABLE_CAP, &c);
	r->error = errno;
	close(vm);
	return NULL;
}

/*
 * While a VM becomes what it is: each answer is that of the VM before, or of the
 * VM after, as they are without a race.
 */
static void races(void)
{
	static void *(* const calls[])(void *) = { register_region, copy_context };
	struct init2 d = { 0 };
	unsigned int i, n;
	int type;

	for (type = SEV; type <= SNP; type++) {
		for (n = 0; n < ARRAY_SIZE(calls); n++) {
			struct race first = { vm_new(type), type, 0, 0 };
			struct race then = { vm_new(type), type, 0, 0 };
			int other = 0, failed = 0;

			calls[n](&first);
			op(then.vm, INIT2, &d);
			calls[n](&then);
			close(first.vm);
			close(then.vm);
			for (i = 0; i < RACES; i++) {
				struct race now = { vm_new(type), type, 0, 0 };
				pthread_t thread;

				if (pthread_create(&thread, NULL, calls[n], &now))
					exit(1);
				failed += !!op(now.vm, INIT2, &d);
				pthread_join(thread, NULL);
				other += !(now.ret == first.ret &&
					   (!now.ret || now.error == first.error)) &&
					 !(now.ret == then.ret &&
					   (!now.ret || now.error == then.error));
				close(now.vm);
			}
			says(other, "type %d, other answers to %u in a race",
			     type, n);
			says(failed, "type %d, INIT2s that failed in race %u",
			     type, n);
		}
	}
}

/* Who may open /dev/kvm, and got /dev/sev from somebody, but may lock nothing. */
static void unprivileged(void)
{
	struct rlimit none = { 0, 0 };
	struct start s = policy(MBO | SMT);
	struct init2 d = { 0 };
	struct finish f = { 0 };
	struct update u = {
		.gfn = GPA >> 12, .uaddr = at(memory), .len = 4096, .type = 1,
	};
	uint64_t region[] = { at(memory), PAGES * 4096 };
	struct guest g;
	int vm, status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child) {
		if (child < 0 || waitpid(child, &status, 0) != child ||
		    status) {
			printf("unprivileged: it did not end\n");
			exit(1);
		}
		return;
	}
	watched = false;	/* the audit is root's */
	if (setrlimit(RLIMIT_MEMLOCK, &none) || setgid(65534) || setuid(65534))
		exit(1);
	says(open("/dev/sev", O_RDWR) < 0 ? -1 : 0, "unprivileged, /dev/sev");
	says(open("/dev/sev", O_RDONLY) < 0 ? -1 : 0,
	     "unprivileged, /dev/sev read-only");
	vm = vm_new(SEV);
	says(op(vm, INIT2, &d), "unprivileged, INIT2 of SEV");
	says(ioctl(vm, REG_REGION, region), "unprivileged, a region to encrypt");
	close(vm);
	vm = vm_new(SNP);
	says(op_fd(vm, INIT2, &d, -1), "unprivileged, INIT2 of SNP");
	says(op_fd(vm, START, &s, -1), "unprivileged, START, no device");
	close(vm);
	g = snp_new(1);
	says(op(g.vm, START, &s), "unprivileged, START");
	says(op(g.vm, UPDATE, &u), "unprivileged, UPDATE");
	says(op(g.vm, FINISH, &f), "unprivileged, FINISH");
	drop(&g);
	fflush(stdout);
	_exit(0);
}

static void updates(void)
{
	struct start s = policy(MBO | SMT);
	struct guest g = snp_new(1);
	struct update u;
	struct finish f;
	uint64_t at_gfn;
	int i, ret;

#define TRY(what, change) do {						\
	u = (struct update){ .gfn = GPA >> 12, .uaddr = at(memory),	\
			     .len = 4096, .type = 1 };			\
	change;								\
	at_gfn = u.gfn;							\
	take_census(census, sizeof(census));				\
	ret = op(g.vm, UPDATE, &u);					\
	if (u.gfn != at_gfn)	/* it says how far it got */		\
		census[0] = 0;						\
	told(ret, "UPDATE, %s", what);					\
	printf("UPDATE, %s: at %llu, %llu left\n", what,		\
	       (unsigned long long)(u.gfn - (GPA >> 12)),		\
	       (unsigned long long)u.len);				\
} while (0)
	TRY("before START", );
	memset(&f, 0, sizeof(f));
	says(op(g.vm, FINISH, &f), "FINISH before START");
	says(op(g.vm, START, &s), "START");
	TRY("flags", u.flags = 1);
	TRY("padding", u.pad = 1);
	TRY("more padding", u.gfn = (GPA >> 12) + 1; u.pad1 = 1);
	for (i = 0; i < 4; i++) {
		char what[16];

		snprintf(what, sizeof(what), "padding %d", i);
		TRY(what, u.gfn = (GPA >> 12) + 1; u.pad2[i] = 1);
	}
	TRY("no length", u.len = 0);
	TRY("half a page", u.len = 2048);
	TRY("a page and a half", u.len = 6144);
	TRY("half a page off", u.uaddr = at(memory) + 2048);
	TRY("a source that is not there", u.uaddr = 4096);
	TRY("no slot", u.gfn = 0);
	TRY("shared memory", u.gfn = (GPA >> 12) + PAGES / 2);
	TRY("beyond the slot", u.gfn = (GPA >> 12) + PAGES / 2 - 1; u.len = 2 * PAGES * 4096);
	TRY("the end of memory", u.gfn = ~0ull);
	TRY("a length that wraps", u.len = ~0xfffull);
	for (i = 0; i < 9; i++) {
		char what[16];

		snprintf(what, sizeof(what), "type %d", i);
		TRY(what, u.gfn = (GPA >> 12) + 2; u.type = i);
	}
	TRY("type 255", u.gfn = (GPA >> 12) + 3; u.type = 255);
	TRY("two pages", u.gfn = (GPA >> 12) + 4; u.len = 8192);
	TRY("one of them again", u.gfn = (GPA >> 12) + 5);
	TRY("one that is there and one that is not", u.gfn = (GPA >> 12) + 5; u.len = 8192);
	TRY("zeros from nowhere", u.gfn = (GPA >> 12) + 6; u.type = 3; u.uaddr = 5);
	says(ioctl(g.vcpu, RUN, 0), "run before FINISH");

	f.flags = 1;
	says(op(g.vm, FINISH, &f), "FINISH, flags");
	f.flags = 0;
	f.block_en = 1;
	says(op(g.vm, FINISH, &f), "FINISH, no ID block");
	f.block = at(memory);
	says(op(g.vm, FINISH, &f), "FINISH, no ID authentication");
	f.auth = at(memory);
	says(op(g.vm, FINISH, &f), "FINISH, an ID block of zeros");
	f.block_en = 0;
	for (i = 0; i < 3; i++) {
		f.pad[i] = 1;
		f.flags = 1;
		says(op(g.vm, FINISH, &f), "FINISH, flags and padding %d", i);
		f.pad[i] = f.flags = 0;
	}
	f.auth_en = 1;
	f.pad1[3] = 1;
	says(op(g.vm, FINISH, &f), "FINISH, a key without a block");
	says(op(g.vm, FINISH, &f), "FINISH twice");
	TRY("after FINISH", u.gfn = (GPA >> 12) + 7);
	says(op(g.vm, CERTS, NULL), "certificates after a vCPU");
	drop(&g);
}

/* What is left of a vCPU's ioctls once its registers are the guest's. */
static void vcpus(void)
{
	static const struct { unsigned long ioctl; const char *name; } calls[] = {
		{ GET_REGS, "GET_REGS" }, { SET_REGS, "SET_REGS" },
		{ GET_SREGS, "GET_SREGS" }, { SET_SREGS, "SET_SREGS" },
		{ GET_FPU, "GET_FPU" }, { SET_FPU, "SET_FPU" },
		{ GET_MP_STATE, "GET_MP_STATE" },
		{ SET_MP_STATE, "SET_MP_STATE" },
		{ SET_GUEST_DEBUG, "SET_GUEST_DEBUG" },
		{ GET_VCPU_EVENTS, "GET_VCPU_EVENTS" },
		{ SET_VCPU_EVENTS, "SET_VCPU_EVENTS" },
		{ GET_DEBUGREGS, "GET_DEBUGREGS" },
		{ SET_DEBUGREGS, "SET_DEBUGREGS" },
		{ GET_XSAVE, "GET_XSAVE" }, { SET_XSAVE, "SET_XSAVE" },
		{ GET_XCRS, "GET_XCRS" }, { SET_XCRS, "SET_XCRS" },
	};
	static uint8_t buffer[8192];
	struct start s = policy(MBO | SMT);
	struct guest g = snp_new(1);
	struct finish f = { 0 };
	unsigned int i, when;

	for (when = 0; when < 2; when++) {
		for (i = 0; i < ARRAY_SIZE(calls); i++)
			says(ioctl(g.vcpu, calls[i].ioctl, buffer), "%s %s",
			     calls[i].name, when ? "after FINISH" : "before");
		says(ioctl(g.vcpu, SET_TSC_KHZ, 0), "SET_TSC_KHZ %s",
		     when ? "after FINISH" : "before");
		if (!when && (op(g.vm, START, &s) || op(g.vm, FINISH, &f)))
			printf("not launched: %s\n", strerrorname_np(errno));
	}
	drop(&g);
}

static void certificates(void)
{
	struct guest g = snp_new(0);

	says(op(g.vm, CERTS, NULL), "certificates");
	says(op(g.vm, CERTS, NULL), "certificates twice");
	drop(&g);
}

static void private_memory(void)
{
	struct guest g = snp_new(1);
	struct range p;
	int i, type, vm;

	/* they are not the RMP's, and many */
	watched = false;
	for (type = DEFAULT; type <= SNP; type += SNP) {
		vm = vm_new(type);
		for (i = 0; i < 64; i++) {
			struct attrs a = { GPA, 4096, 1ull << i, 0 };

			says(ioctl(vm, SET_ATTRIBUTES, &a),
			     "type %d, memory attribute %d", type, i);
		}
		close(vm);
	}
	watched = true;
	for (i = 0; i < 6; i++) {
		struct attrs a = { GPA, 4096, 8, 0 };

		a.flags = i == 0;
		a.size = i == 1 ? 0 : i == 2 ? 2048 : i == 3 ? ~0xfffull : 4096;
		a.gpa += i == 4 ? 1 : 0;
		a.gpa = i == 5 ? 1ull << 52 : a.gpa;
		says(ioctl(g.vm, SET_ATTRIBUTES, &a), "attributes, field %d", i);
	}
	for (i = 0; i < 8; i++) {
		struct gmem m = { .size = 4096 };
		int fd;

		m.size = i == 0 ? 0 : i == 1 ? 1 : i == 2 ? 1ull << 63 : 4096;
		m.flags = i == 3 ? 4 : i == 4 ? 1ull << 63 :
			  i == 6 ? 1 : i == 7 ? 2 : 0;
		m.pad[5] = i == 5;
		fd = ioctl(g.vm, CREATE_GMEM, &m);
		says(fd < 0 ? fd : 0, "guest_memfd, field %d", i);
		if (fd >= 0)
			close(fd);
	}
	for (i = 0; i < 15; i++) {
		struct region r = { .slot = 2, .gpa = 1 << 24, .size = 4096,
				    .flags = 4, .fd = g.fd };

		r.uaddr = at(memory);
		r.pad = i == 14;
		if (i < 14)
			r.pad2[i] = 1;
		says(ioctl(g.vm, SET_REGION2, &r), "slot, padding %d", i);
		r.size = 0;
		ioctl(g.vm, SET_REGION2, &r);
	}
	for (i = 0; i < 12; i++) {
		struct region r = { .slot = 1, .gpa = 1 << 24, .size = 4096,
				    .flags = 4, .fd = g.fd };

		r.uaddr = at(memory);
		r.flags = i == 0 ? 5 : i == 1 ? 6 : i == 2 ? 8 : 4;
		r.offset = i == 3 ? 1 : i == 4 ? 1ull << 40 : i == 5 ? ~0xfffull : 0;
		r.fd = i == 6 ? -1 : i == 7 ? kvm : g.fd;
		r.pad2[0] = i == 8;
		r.gpa = i == 9 ? GPA : r.gpa;
		r.slot = i == 10 ? 1 << 16 | 1 : 1;
		says(ioctl(g.vm, i == 11 ? SET_REGION : SET_REGION2, &r),
		     "slot, field %d", i);
		r.size = 0;
		ioctl(g.vm, SET_REGION2, &r);
	}
	for (i = 0; i < 6; i++) {
		p = (struct range){ GPA, 4096, 0, { 0 } };
		p.flags = i == 1;
		p.size = i == 2 ? 0 : i == 3 ? 1 : 4096;
		p.pad[0] = i == 4;
		p.gpa = i == 5 ? ~0xfffull : GPA;
		says(ioctl(g.vcpu, PRE_FAULT, &p), "pre-fault, field %d", i);
	}
	says(ioctl(g.vm, REG_REGION, (uint64_t[]){ at(memory), 4096 }),
	     "a region to encrypt");
	says(ioctl(g.vm, UNREG_REGION, (uint64_t[]){ at(memory), 4096 }),
	     "a region not to encrypt");
	drop(&g);
}

/* Those that change the platform's keys, and commit, come last. */
static void device(void)
{
	static const int commands[] = {
		1, 3, 5, 6, 7, 8, 9, 11, 12, 13, 14, ~0, 10, 4, 2, 0,
	};
	static uint8_t zeros[4096];
	unsigned int i, ro;

	for (ro = 0; ro < 2; ro++) {
		for (i = 0; i < ARRAY_SIZE(commands); i++) {
			struct __attribute__((packed)) {
				uint32_t cmd;
				uint64_t data;
				uint32_t error;
			} c = { commands[i], 0, 0 };
			int fd = ro ? sev_ro : sev;
			const char *how = ro ? ", read-only" : "";

			says(ioctl(fd, SEV_CMD, &c), "device%s, command %d "
			     "without data", how, commands[i]);
			c.data = 8;
			says(ioctl(fd, SEV_CMD, &c), "device%s, command %d "
			     "from nowhere", how, commands[i]);
			memset(zeros, 0, sizeof(zeros));
			c.data = at(zeros);
			says(ioctl(fd, SEV_CMD, &c), "device%s, command %d of "
			     "zeros", how, commands[i]);
		}
	}
	says(ioctl(sev, SEV_CMD, 8), "device, a command nowhere");
	says(ioctl(sev, SEV_CMD + 1, zeros), "device, another ioctl");
}

int main(void)
{
	kvm = open("/dev/kvm", O_RDWR);
	sev = open("/dev/sev", O_RDWR);
	sev_ro = open("/dev/sev", O_RDONLY);
	memory = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (kvm < 0 || sev < 0 || sev_ro < 0 || memory == MAP_FAILED) {
		perror("/dev/kvm, /dev/sev");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	capabilities();
	attributes();
	first_commands();
	inits();
	wrong_types();
	enable_caps();
	races();
	watched = true;
	starts();
	updates();
	vcpus();
	certificates();
	private_memory();
	unprivileged();
	watched = false;
	device();
	printf("the audit noticed %u calls\n", noticed);
	printf("end\n");
	return 0;
}
