// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SEV guests that move, by KVM's ioctls: a guest is launched and sent, another
 * received. Neither runs; their memory is what is looked at.
 *
 *	sev_send self	sends a guest to the platform that it is on, and back
 *	sev_send to	to the platform of the files pdh and chain; prints all
 *			that somebody there needs
 *	sev_send from	receives one from the files pdh, session, header, packet;
 *			prints its memory
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CERT		2084
#define CHAIN		(3 * CERT)
#define SESSION		128
#define HEADER		52
#define PAGES		3
#define MEMORY		(1 << 20)
/* policies */
#define NODBG		1
#define NOSEND		8
/* statuses of the firmware */
#define INVALID_LEN	4
#define POLICY_FAILURE	7
#define BAD_MEASUREMENT	0xb
/* states of a guest */
#define RUNNING		3
#define SUPDATE		4
#define RUPDATE		5
#define SENT		6

struct guest {
	int vm;
	unsigned char *memory;
};

static int kvm, sev;
static unsigned int checks, failures, status;

static void check(bool good, const char *what)
{
	printf("%sok %s (errno %d, firmware %u)\n", good ? "" : "not ", what,
	       good ? 0 : errno, status);
	checks++;
	failures += !good;
}

static unsigned long at(const void *p)
{
	return (unsigned long)p;
}

static int command(struct guest *g, int id, const void *data)
{
	struct kvm_sev_cmd cmd = { .id = id, .data = at(data), .sev_fd = sev };
	int ret = ioctl(g->vm, KVM_MEMORY_ENCRYPT_OP, &cmd);

	status = cmd.error;
	return ret;
}

/* Refused by the firmware, with that status? */
static bool refused(int ret, unsigned int with)
{
	return ret < 0 && errno == EIO && status == with;
}

static unsigned int state(struct guest *g)
{
	struct kvm_sev_guest_status s = { 0 };

	return command(g, KVM_SEV_GUEST_STATUS, &s) ? ~0u : s.state;
}

static struct guest new_guest(void)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY };
	struct guest g;

	g.vm = ioctl(kvm, KVM_CREATE_VM, 0);
	g.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	region.userspace_addr = at(g.memory);
	check(g.vm >= 0 && g.memory != MAP_FAILED &&
	      !ioctl(g.vm, KVM_SET_USER_MEMORY_REGION, &region) &&
	      !command(&g, KVM_SEV_INIT, NULL), "a VM");
	return g;
}

static struct guest launched(unsigned int policy)
{
	struct kvm_sev_launch_start start = { .policy = policy };
	struct kvm_sev_launch_update_data update = { .len = PAGES * 4096 };
	unsigned char answer[48];
	struct kvm_sev_launch_measure measure = {
		.uaddr = at(answer), .len = sizeof(answer),
	};
	struct guest g = new_guest();

	for (int i = 0; i < PAGES * 4096; i++)
		g.memory[i] = i * 7 + (i >> 8);
	update.uaddr = at(g.memory);
	check(!command(&g, KVM_SEV_LAUNCH_START, &start) &&
	      !command(&g, KVM_SEV_LAUNCH_UPDATE_DATA, &update) &&
	      !command(&g, KVM_SEV_LAUNCH_MEASURE, &measure) &&
	      !command(&g, KVM_SEV_LAUNCH_FINISH, NULL), "launch");
	check(state(&g) == RUNNING, "it would run");
	return g;
}

static void drop(struct guest *g)
{
	munmap(g->memory, MEMORY);
	close(g->vm);
}

static void export(unsigned char pdh[CERT], unsigned char chain[CHAIN])
{
	struct sev_user_data_pdh_cert_export e = {
		.pdh_cert_address = at(pdh), .pdh_cert_len = CERT,
		.cert_chain_address = at(chain), .cert_chain_len = CHAIN,
	};
	struct sev_issue_cmd cmd = {
		.cmd = SEV_PDH_CERT_EXPORT, .data = at(&e),
	};
	int ret = ioctl(sev, SEV_ISSUE_CMD, &cmd);

	status = cmd.error;
	check(!ret, "certificates");
}

static int send_start(struct guest *g, const unsigned char pdh[CERT],
		      const unsigned char chain[CHAIN],
		      unsigned char session[SESSION])
{
	static const unsigned char amd[64];
	struct kvm_sev_send_start s = {
		.pdh_cert_uaddr = at(pdh), .pdh_cert_len = CERT,
		.plat_certs_uaddr = at(chain), .plat_certs_len = CHAIN,
		.amd_certs_uaddr = at(amd), .amd_certs_len = sizeof(amd),
		.session_uaddr = at(session), .session_len = SESSION,
	};

	return command(g, KVM_SEV_SEND_START, &s);
}

static int send_page(struct guest *g, int page, unsigned char header[HEADER],
		     unsigned char packet[4096])
{
	struct kvm_sev_send_update_data s = {
		.hdr_uaddr = at(header), .hdr_len = HEADER,
		.guest_uaddr = at(g->memory + 4096 * page), .guest_len = 4096,
		.trans_uaddr = at(packet), .trans_len = 4096,
	};

	return command(g, KVM_SEV_SEND_UPDATE_DATA, &s);
}

static int receive_start(struct guest *g, unsigned int policy,
			 const unsigned char pdh[CERT],
			 const unsigned char session[SESSION])
{
	struct kvm_sev_receive_start s = {
		.policy = policy, .pdh_uaddr = at(pdh), .pdh_len = CERT,
		.session_uaddr = at(session), .session_len = SESSION,
	};

	return command(g, KVM_SEV_RECEIVE_START, &s);
}

static int receive_page(struct guest *g, int page,
			const unsigned char header[HEADER],
			const unsigned char packet[4096])
{
	struct kvm_sev_receive_update_data s = {
		.hdr_uaddr = at(header), .hdr_len = HEADER,
		.guest_uaddr = at(g->memory + 4096 * page), .guest_len = 4096,
		.trans_uaddr = at(packet), .trans_len = 4096,
	};

	return command(g, KVM_SEV_RECEIVE_UPDATE_DATA, &s);
}

static void print(const char *name, const unsigned char *data, int len)
{
	printf("@%s ", name);
	while (len--)
		printf("%02x", *data++);
	printf("\n");
}

static void file(const char *name, unsigned char *data, int len)
{
	int fd = open(name, O_RDONLY);

	status = 0;
	check(fd >= 0 && read(fd, data, len) == len, name);
	close(fd);
}

static unsigned char pdh[CERT], chain[CHAIN], session[SESSION];
static unsigned char header[HEADER], packet[4096];

/* How a VMM learns the lengths */
static void ask(struct guest *g, bool sending)
{
	struct kvm_sev_send_start s = { 0 };
	struct kvm_sev_send_update_data u = { 0 };

	if (!sending) {
		check(refused(command(g, KVM_SEV_SEND_START, &s),
			      INVALID_LEN) && s.session_len == SESSION,
		      "a session's length");
		return;
	}
	check(refused(command(g, KVM_SEV_SEND_UPDATE_DATA, &u), INVALID_LEN) &&
	      u.hdr_len == HEADER, "a header's length");
}

static void to_itself(void)
{
	struct guest from, to, other;

	from = launched(NODBG);
	export(pdh, chain);
	ask(&from, false);
	check(!send_start(&from, pdh, chain, session), "SEND_START");
	check(state(&from) == SUPDATE, "it is being sent");
	ask(&from, true);

	to = new_guest();
	session[SESSION - 1] ^= 1;
	check(refused(receive_start(&to, NODBG, pdh, session),
		      BAD_MEASUREMENT), "a session with a bit flipped");
	session[SESSION - 1] ^= 1;
	check(refused(receive_start(&to, 0, pdh, session), BAD_MEASUREMENT),
	      "another policy");
	check(!receive_start(&to, NODBG, pdh, session), "RECEIVE_START");
	check(state(&to) == RUPDATE, "it is being received");
	for (int i = 0; i < PAGES; i++) {
		unsigned char *was = from.memory + 4096 * i;

		check(!send_page(&from, i, header, packet), "SEND_UPDATE_DATA");
		check(memcmp(packet, was, 4096), "a page is enciphered");
		packet[4095] ^= 1;
		check(refused(receive_page(&to, i, header, packet),
			      BAD_MEASUREMENT), "a packet with a bit flipped");
		packet[4095] ^= 1;
		check(!receive_page(&to, i, header, packet),
		      "RECEIVE_UPDATE_DATA");
		check(!memcmp(was, to.memory + 4096 * i, 4096),
		      "the page that was sent");
	}
	check(!command(&to, KVM_SEV_RECEIVE_FINISH, NULL) &&
	      state(&to) == RUNNING, "RECEIVE_FINISH");
	check(!command(&from, KVM_SEV_SEND_CANCEL, NULL) &&
	      state(&from) == RUNNING, "SEND_CANCEL");
	check(!send_start(&from, pdh, chain, session) &&
	      !command(&from, KVM_SEV_SEND_FINISH, NULL) &&
	      state(&from) == SENT, "SEND_FINISH");
	drop(&from);
	drop(&to);

	other = launched(NODBG | NOSEND);
	check(refused(send_start(&other, pdh, chain, session), POLICY_FAILURE),
	      "a guest that may not be sent");
	drop(&other);
}

static void to_another(void)
{
	unsigned char theirs[CERT], their_chain[CHAIN];
	struct guest g = launched(NODBG);

	file("pdh", theirs, CERT);
	file("chain", their_chain, CHAIN);
	export(pdh, chain);
	check(!send_start(&g, theirs, their_chain, session), "SEND_START");
	check(!send_page(&g, 1, header, packet), "SEND_UPDATE_DATA");
	print("pdh", pdh, CERT);
	print("session", session, SESSION);
	print("header", header, HEADER);
	print("packet", packet, 4096);
	print("memory", g.memory + 4096, 4096);
	drop(&g);
}

static void from_another(void)
{
	struct guest g = new_guest();

	file("pdh", pdh, CERT);
	file("session", session, SESSION);
	file("header", header, HEADER);
	file("packet", packet, 4096);
	check(!receive_start(&g, NODBG, pdh, session), "RECEIVE_START");
	check(!receive_page(&g, 0, header, packet), "RECEIVE_UPDATE_DATA");
	check(!command(&g, KVM_SEV_RECEIVE_FINISH, NULL) &&
	      state(&g) == RUNNING, "RECEIVE_FINISH");
	print("memory", g.memory, 4096);
	drop(&g);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	kvm = open("/dev/kvm", O_RDWR);
	sev = open("/dev/sev", O_RDWR);
	check(kvm >= 0 && sev >= 0, "/dev/kvm, /dev/sev");
	if (!strcmp(what, "self"))
		to_itself();
	else if (!strcmp(what, "to"))
		to_another();
	else if (!strcmp(what, "from"))
		from_another();
	else
		check(false, "self, to or from");
	printf("1..%u\n", checks);
	return failures != 0;
}
