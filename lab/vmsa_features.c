// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linked around an unmodified test's ioctl(), or loaded before an unmodified
 * VMM's libraries (-DPRELOAD): SEV-ES and SNP guests that it makes get
 * SEV_FEATURES as well, those of the number in the environment's VMSA_FEATURES,
 * as newer VMMs ask for them (KVM_SEV_INIT2's vmsa_features). What KVM does not
 * offer it refuses. The feature that is of SNP only (Secure TSC) is asked for
 * SNP guests only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#define CREATE_VM		0xae01ul	/* KVM_CREATE_VM */
#define ENCRYPT_OP		0xc008aebaul	/* KVM_MEMORY_ENCRYPT_OP */
#define SEV_INIT2		22u		/* KVM_SEV_INIT2 */
#define SNP_ONLY		(1ull << 9)

enum { PLAIN, SW_PROTECTED, SEV, SEV_ES, SNP };

/* struct kvm_sev_cmd, and the beginning of struct kvm_sev_init */
struct command {
	uint32_t id, pad;
	uint64_t data;
};

struct init {
	uint64_t vmsa_features;
};

#ifdef PRELOAD
#define OURS ioctl
#define THEIRS (*(ioctl_fn *)dlsym(RTLD_NEXT, "ioctl"))
typedef int ioctl_fn(int fd, unsigned long request, ...);
#else
#define OURS __wrap_ioctl
#define THEIRS __real_ioctl
int __real_ioctl(int fd, unsigned long request, ...);
#endif

int OURS(int fd, unsigned long request, ...);

static unsigned long type;		/* of the VM made last */

int OURS(int fd, unsigned long request, ...)
{
	const char *text = getenv("VMSA_FEATURES");
	struct command *cmd;
	uint64_t more;
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	cmd = arg;
	if (request == CREATE_VM)
		type = (unsigned long)arg;
	if (text && request == ENCRYPT_OP && cmd && cmd->id == SEV_INIT2 &&
	    (type == SEV_ES || type == SNP)) {
		more = strtoull(text, NULL, 0);
		if (type != SNP)
			more &= ~SNP_ONLY;
		((struct init *)(uintptr_t)cmd->data)->vmsa_features |= more;
	}
	return THEIRS(fd, request, arg);
}
