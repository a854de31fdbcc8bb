// SPDX-License-Identifier: GPL-2.0-only
/*
 * A secure processor that does not answer any more. What its last command had
 * of the host's memory it keeps, so that nobody else may ever get it; what comes
 * later is refused. Guests go on, and end.
 *
 * The interrupt that ends a command is kept from the driver, by taking from the
 * device what lets it send one. There is no way back but a reboot, so one run
 * sees one command that does not end: of a guest's memory, with a buffer, or of a
 * vCPU's registers.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "snp_bare.h"

#define DEVICES		"/sys/bus/pci/devices/"
#define PCI_ID		(0x1022 | 0x14ca << 16)
#define PCI_COMMAND	4
#define PCI_MASTER	4

#define HUGE		"/sys/kernel/mm/hugepages/hugepages-2048kB/"

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	TEST_ASSERT(fd >= 0 && write(fd, text, strlen(text)) > 0, "%s: %s",
		    path, strerror(errno));
	close(fd);
}

/* The number after that word in the kernel's audit of the RMP, 0 if none. */
static long census(const char *word)
{
	FILE *f = fopen("/sys/kernel/debug/sev-snp/audit", "r");
	long n, found = 0;
	char name[64];

	TEST_ASSERT(f, "no audit");
	while (fscanf(f, "%63s", name) == 1)
		if (!strcmp(name, word) && fscanf(f, "%ld", &n) == 1)
			found = n;
	fclose(f);
	return found;
}

/* 0 or errno. */
static int sev_ioctl(int fd, u32 cmd, void *data)
{
	struct sev_issue_cmd arg = { .cmd = cmd, .data = (u64)data };

	return ioctl(fd, SEV_ISSUE_CMD, &arg) ? errno : 0;
}

static int platform_status(int fd)
{
	struct sev_user_data_status status;

	return sev_ioctl(fd, SEV_PLATFORM_STATUS, &status);
}

static bool silence_one(const char *device)
{
	char path[300];
	u16 command;
	u32 id = 0;
	int fd;

	snprintf(path, sizeof(path), DEVICES "%s/config", device);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return false;
	if (pread(fd, &id, 4, 0) != 4 || id != PCI_ID) {
		close(fd);
		return false;
	}
	TEST_ASSERT(pread(fd, &command, 2, PCI_COMMAND) == 2, "config");
	command &= ~PCI_MASTER;
	TEST_ASSERT(pwrite(fd, &command, 2, PCI_COMMAND) == 2, "config");
	close(fd);
	return true;
}

/* From now on no command ends. */
static void silence(int sev_fd)
{
	struct dirent *e;
	bool found = false;
	DIR *dir;

	/* Seconds; taken over when a command succeeds. */
	put("/sys/module/ccp/parameters/psp_cmd_timeout", "3");
	TEST_ASSERT_EQ(platform_status(sev_fd), 0);

	dir = opendir(DEVICES);
	TEST_ASSERT(dir, DEVICES);
	while (!found && (e = readdir(dir)))
		found = silence_one(e->d_name);
	closedir(dir);
	TEST_ASSERT(found, "no secure processor");
}

struct futex_op {
	u8 *at;
	int op, error;
	bool done;
};

static void *futex_writes(void *arg)
{
	struct futex_op *f = arg;
	u32 word = 0;

	f->error = syscall(SYS_futex, &word, FUTEX_WAKE_OP_PRIVATE, 1, 1L,
			   f->at, FUTEX_OP(f->op, 1, FUTEX_OP_CMP_EQ, 0)) < 0 ?
		   errno : 0;
	__atomic_store_n(&f->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* errno of a futex operation that writes there; ETIMEDOUT if it goes on. */
static int futex_error(u8 *at, int op)
{
	/* Static, as who goes on has it still. */
	static struct futex_op f;
	int i, error = ETIMEDOUT;
	pthread_t thread;

	f = (struct futex_op){ .at = at, .op = op };
	if (pthread_create(&thread, NULL, futex_writes, &f))
		return errno;
	for (i = 0; i < 300 && error == ETIMEDOUT; i++) {
		usleep(100 * 1000);
		if (__atomic_load_n(&f.done, __ATOMIC_ACQUIRE))
			error = f.error;
	}
	return error;
}

/* Memory ------------------------------------------------------------------ */

#define LENGTH		(3 * 4096)
#define HUGE_SIZE	(2UL << 20)

static struct bare *runs, *starts;
static struct kvm_vm *legacy;
static struct kvm_vcpu *vcpu;
static int sev_fd;
static long firmware, lost;
static u8 *memory;

/* Pages that are lost since this was asked last; listed and counted alike. */
static long more_lost(void)
{
	long now = leaked(), more = now - lost;

	CHECK_EQ(census("leaked"), now);
	CHECK_EQ(leaked_as("not listed"), 0);
	lost = now;
	return more;
}

static void test_before(void)
{
	struct kvm_sev_launch_start start = {};

	sev_fd = open_sev_dev_path_or_exit();
	CHECK_EQ(leaked(), 0);

	runs = bare_new(1);
	starts = bare_create(1);
	vm_mem_set_private(starts->vm, POOL_GPA, 2 * 4096);
	snp_vm_launch_start(starts->vm, bare_policy());

	legacy = vm_sev_create_with_one_vcpu(KVM_X86_SEV_VM, NULL, &vcpu);
	CHECK_EQ(sev_op(legacy, KVM_SEV_LAUNCH_START, &start, NULL), 0);

	/* Physically contiguous, and not of its own. */
	put(HUGE "nr_hugepages", "1");
	memory = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		      MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	TEST_ASSERT(memory != MAP_FAILED, "no huge page");
	memset(memory, 0x5a, HUGE_SIZE);

	firmware = census("firmware");
	CHECK_EQ(census("context"), 2);
	silence(sev_fd);
}

/* A guest's memory is firmware's while it is enciphered. */
static void test_memory(void)
{
	struct kvm_sev_launch_update_data update = {
		.uaddr = (u64)memory + 4096,
		.len = LENGTH,
	};

	CHECK_EQ(sev_op(legacy, KVM_SEV_LAUNCH_UPDATE_DATA, &update, NULL),
		 ETIMEDOUT);
	CHECK_EQ(more_lost(), LENGTH / 4096);
	CHECK_EQ(leaked_as(" command"), LENGTH / 4096);
	CHECK_EQ(census("firmware"), firmware + LENGTH / 4096);

	/* What shares their mapping cannot be written to either. */
	CHECK(bare_sigbus(memory, true), "the page before is written to");
	CHECK(bare_sigbus(memory + 4096, true), "the first page is written to");
	CHECK(bare_sigbus(memory + LENGTH, true),
	      "the last page is written to");
	CHECK(bare_sigbus(memory + HUGE_SIZE - 1, true),
	      "the end is written to");
	CHECK_EQ(memory[0], 0x5a);
	CHECK_EQ(memory[HUGE_SIZE - 1], 0x5a);

	/* By an exchange, and by a comparison first. */
	CHECK_EQ(futex_error(memory + 4096, FUTEX_OP_SET), EFAULT);
	CHECK_EQ(futex_error(memory, FUTEX_OP_OR), EFAULT);
}

static void test_refused(void)
{
	struct kvm_sev_snp_launch_update update = {
		.gfn_start = POOL_GFN,
		.uaddr = (u64)memory,
		.len = 4096,
		.type = KVM_SEV_SNP_PAGE_TYPE_NORMAL,
	};
	struct kvm_sev_snp_launch_finish finish = {};
	struct kvm_sev_snp_launch_start start = { .policy = bare_policy() };
	struct sev_user_data_snp_status status;
	struct bare *b;
	int i;

	CHECK_EQ(platform_status(sev_fd), EBUSY);
	CHECK_EQ(more_lost(), 0);

	/* Neither page nor context is given to it any more. */
	for (i = 0; i < 3; i++)
		CHECK_EQ(sev_ioctl(sev_fd, SNP_PLATFORM_STATUS, &status),
			 EBUSY);
	b = bare_create(1);
	CHECK_EQ(sev_op(b->vm, KVM_SEV_SNP_LAUNCH_START, &start, NULL), EBUSY);
	bare_free(b);
	CHECK_EQ(more_lost(), 0);

	/* Nor a page of a launch that has begun, nor its VMSA. */
	CHECK_EQ(sev_op(starts->vm, KVM_SEV_SNP_LAUNCH_UPDATE, &update, NULL),
		 EIO);
	CHECK_EQ(sev_op(starts->vm, KVM_SEV_SNP_LAUNCH_FINISH, &finish, NULL),
		 EBUSY);
	CHECK_EQ(more_lost(), 0);
	CHECK_EQ(census("pre-guest"), 0);
	CHECK_EQ(census("firmware"), firmware + LENGTH / 4096);
}

/* What runs needs no firmware, new memory included. */
static void test_guest(void)
{
	CHECK_EQ(bare_do(runs, 0, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);
	CHECK_EQ(bare_msr(runs, 0, 1ULL << 52 | POOL_GFN << 12 | G_PSC_REQ),
		 G_PSC_RESP);
	CHECK_EQ(bare_pvalidate(runs, 0, true), 0);
	bare_do(runs, 0, DO_WRITE, gva_private(0), 0x1234, 0);
	CHECK_EQ(bare_do(runs, 0, DO_READ, gva_private(0), 0, 0), 0x1234);
	CHECK_EQ(more_lost(), 0);
}

/*
 * A guest's own memory comes back without firmware; its context does not, nor the
 * page that its messages are answered in.
 */
static void test_end(void)
{
	bare_free(runs);
	CHECK_EQ(more_lost(), 2);
	CHECK_EQ(leaked_as(" context"), 1);
	CHECK_EQ(leaked_as(" reclaim"), 1);
	CHECK_EQ(census("guest-valid"), 0);
	CHECK_EQ(census("guest-invalid"), 0);
	CHECK_EQ(census("context"), 2);

	bare_free(starts);
	CHECK_EQ(more_lost(), 2);
	CHECK_EQ(census("pre-guest"), 0);

	kvm_vm_free(legacy);
	munmap(memory, HUGE_SIZE);
	put(HUGE "nr_hugepages", "0");
	CHECK_EQ(more_lost(), 0);
	CHECK_EQ(census("firmware"), firmware + LENGTH / 4096);
}

/* Buffers ----------------------------------------------------------------- */

/* The command as such, and what it points to, are firmware's. */
static void test_buffer(void)
{
	u8 id[64];
	struct sev_user_data_get_id2 get = {
		.address = (u64)id,
		.length = sizeof(id),
	};
	int i;

	sev_fd = open_sev_dev_path_or_exit();
	CHECK_EQ(leaked(), 0);
	firmware = census("firmware");

	CHECK_EQ(sev_ioctl(sev_fd, SEV_GET_ID2, &get), 0);
	CHECK_EQ(more_lost(), 0);
	CHECK_EQ(census("firmware"), firmware);

	silence(sev_fd);
	CHECK_EQ(sev_ioctl(sev_fd, SEV_GET_ID2, &get), ETIMEDOUT);
	CHECK_EQ(more_lost(), 2);
	CHECK_EQ(leaked_as(" command"), 2);
	CHECK_EQ(census("firmware"), firmware + 2);

	for (i = 0; i < 3; i++)
		CHECK_EQ(sev_ioctl(sev_fd, SEV_GET_ID2, &get), EBUSY);
	CHECK_EQ(more_lost(), 0);
	close(sev_fd);
}

/* A vCPU's registers ----------------------------------------------------- */

/* They are firmware's while they are enciphered, and KVM fills them in first. */
static void test_vmsa(void)
{
	struct kvm_sev_launch_start start = { .policy = SEV_POLICY_ES };
	int i;

	sev_fd = open_sev_dev_path_or_exit();
	CHECK_EQ(leaked(), 0);
	legacy = vm_sev_create_with_one_vcpu(KVM_X86_SEV_ES_VM, NULL, &vcpu);
	CHECK_EQ(sev_op(legacy, KVM_SEV_LAUNCH_START, &start, NULL), 0);
	firmware = census("firmware");

	silence(sev_fd);
	CHECK_EQ(sev_op(legacy, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, NULL),
		 ETIMEDOUT);
	CHECK_EQ(more_lost(), 1);
	CHECK_EQ(leaked_as(" command"), 1);
	CHECK_EQ(census("firmware"), firmware + 1);
	for (i = 0; i < 3; i++)
		CHECK_EQ(sev_op(legacy, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, NULL),
			 EINVAL);

	kvm_vm_free(legacy);
	CHECK_EQ(more_lost(), 0);
	CHECK_EQ(census("firmware"), firmware + 1);
}

/* All memory that is left is written to: none of it is firmware's. */
static void test_all_memory(void)
{
	long pages = sysconf(_SC_AVPHYS_PAGES) / 10 * 8, before;
	void *p;

	before = census("firmware");
	p = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	CHECK(p != MAP_FAILED, "%ld pages", pages);
	munmap(p, pages * 4096);
	CHECK_EQ(census("firmware"), before);
}

static const struct bare_test memory_tests[] = {
	{ test_before, "guests, and a processor that falls silent" },
	{ test_memory, "a command that has a guest's memory does not end" },
	{ test_refused, "what comes after it is refused" },
	{ test_guest, "a guest that runs goes on" },
	{ test_end, "guests end" },
	{ test_all_memory, "no page of the processor's is anybody else's" },
};

static const struct bare_test buffer_tests[] = {
	{ test_buffer, "a command with a buffer does not end" },
	{ test_all_memory, "no page of the processor's is anybody else's" },
};

static const struct bare_test vmsa_tests[] = {
	{ test_vmsa, "a command with a vCPU's registers does not end" },
	{ test_all_memory, "no page of the processor's is anybody else's" },
};

int main(int argc, char *argv[])
{
	TEST_REQUIRE(have_snp());
	if (argc > 1 && !strcmp(argv[1], "--buffer"))
		bare_run_without(buffer_tests, ARRAY_SIZE(buffer_tests));
	if (argc > 1 && !strcmp(argv[1], "--vmsa"))
		bare_run_without(vmsa_tests, ARRAY_SIZE(vmsa_tests));
	bare_run_without(memory_tests, ARRAY_SIZE(memory_tests));
}
