/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two CPUs of an SNP host. While CPU 1 runs a guest CPU 0 writes to the pages
 * that CPU 1 holds, its VMCB and its save area: #PF with bit 31, as of any page
 * that is not the hypervisor's (MODE 0), or nothing (MODE 1, HvInUseWrAllowed).
 * It can read them, and write to them when the guest has left.
 */
#include "two-cpus.h"

#define RUNS   (DATA + 0x00)    /* the guest does */
#define LEAVE  (DATA + 0x04)    /* it shall */
#define LEFT   (DATA + 0x08)
#define FAULTS (DATA + 0x0c)
#define CODE   (DATA + 0x10)    /* of the last */
#define VMCB   0x60000
#define HSAVE  0x61000
#define FREE   0x62000
#define UNUSED 0xf00            /* of either page, by the hardware */
#define PF     14

#define SYSCFG 0xc0010010
#define HSAVE_PA 0xc0010117
#define EFER   0xc0000080

	/* Each CPU its own: MtrrFixDramModEn, then SNP_EN and VMPL_EN */
	.macro enable_snp
	mov $SYSCFG, %ecx
	rdmsr
	or $(1 << 19), %eax
	wrmsr
	or $(3 << 24), %eax
	wrmsr
	.endm

	.macro write_to at, refused
	movl $0, FAULTS
	movl $0x5a5a5a5a, \at + UNUSED
	cmpl $\refused, FAULTS
	jne wrong
	.endm

setup:
	page_tables
	gate PF, fault
	enable_snp
	ret

	/* CPU 0 goes here when CPU 1 is up */
bsp:
	enable_paging 1f
1:	pause
	cmpl $1, RUNS
	jne 1b
	write_to VMCB, 1-MODE
	write_to HSAVE, 1-MODE
	write_to FREE, 0
	/* P, W, RMP: once there was one */
	cmpl $(0x80000003 * (1 - MODE)), CODE
	jne wrong
	cmpl $(0x5a5a5a5a * MODE), VMCB + UNUSED
	jne wrong
	movl $1, LEAVE
1:	pause
	cmpl $1, LEFT
	jne 1b
	write_to VMCB, 0
	write_to HSAVE, 0
	mov $OK, %al
	jmp done
wrong:
	mov $WRONG, %al
	jmp done

	/* What faults has ten bytes, and is not done again. */
fault:
	popl CODE
	addl $10, (%esp)
	incl FAULTS
	iret

ap:
	enable_snp
	mov $EFER, %ecx
	rdmsr
	or $0x1000, %eax
	wrmsr
	mov $HSAVE_PA, %ecx
	mov $HSAVE, %eax
	xor %edx, %edx
	wrmsr
	movl $3, VMCB + 0x10		/* VMRUN, VMMCALL */
	movl $1, VMCB + 0x58		/* ASID */
	mov $(VMCB + 0x400), %edi
	mov $6, %ecx			/* ES, CS, SS, DS, FS, GS */
1:	movl $(0xc93 << 16 | 16), (%edi)
	movl $-1, 4(%edi)
	add $16, %edi
	loop 1b
	movl $(0xc9b << 16 | 8), VMCB + 0x410
	movl $0x1000, VMCB + 0x4d0	/* EFER */
	movl $0x11, VMCB + 0x558	/* CR0 */
	movl $0x400, VMCB + 0x560	/* DR7 */
	movl $0xffff0ff0, VMCB + 0x568	/* DR6 */
	movl $2, VMCB + 0x570		/* RFLAGS */
	movl $(0xf0000 + guest - start), VMCB + 0x578
	mov $VMCB, %eax
	vmrun
	movl $1, LEFT
1:	hlt
	jmp 1b

guest:
	movl $1, RUNS
1:	pause
	cmpl $1, LEAVE
	jne 1b
	vmmcall

	gates_to PF

	reset_vector
