/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the bare host of outside.c comes up: a multiboot loader leaves it in
 * flat 32-bit mode; it goes on in 64-bit mode, with the first 4 GiB mapped one
 * to one by 2M pages, but for the 2 MiB at GROUND: those by 4K pages, so that
 * a page given away leaves its neighbours writable.
 */
#include "ground.h"

#define MULTIBOOT 0x1badb002

	.section .boot, "ax"
	.code32
	.balign 4
	.long MULTIBOOT, 0, -MULTIBOOT

	.globl start32
start32:
	cli
	cld
	mov $stack_top, %esp
	mov $pd, %edi
	mov $0x83, %eax
	mov $2048, %ecx
1:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b
	mov $pt, %edi
	mov $(GROUND + 3), %eax
	mov $512, %ecx
1:	mov %eax, (%edi)
	add $0x1000, %eax
	add $8, %edi
	loop 1b
	movl $(pt + 3), pd + GROUND / 0x200000 * 8
	movl $(pd + 0x0003), pdpt
	movl $(pd + 0x1003), pdpt + 8
	movl $(pd + 0x2003), pdpt + 16
	movl $(pd + 0x3003), pdpt + 24
	movl $(pdpt + 3), pml4
	mov %cr4, %eax
	or $0x620, %eax			/* PAE, OSFXSR, OSXMMEXCPT */
	mov %eax, %cr4
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x1900, %eax		/* LME, NXE, SVME */
	wrmsr
	mov %cr0, %eax
	or $0x80010001, %eax		/* PG, WP, PE */
	and $~0x60000004, %eax
	mov %eax, %cr0
	lgdtl gdtr
	ljmp $8, $start64

	.code64
start64:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $stack_top, %rsp
	lidt idtr			/* no exception is expected: the end */
	call main
1:	hlt
	jmp 1b

	/* void run_guest(vmcb): registers of a SEV-ES guest's host are lost */
	.globl run_guest
run_guest:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rdi, %rax
	clgi
	vmrun %rax
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	/*
	 * void same_breath(page, register, command, out): starts a command of the
	 * firmware between two reads of the page, in one block of code; out[0] is
	 * what the register was between them and out[1] what the page was then.
	 */
	.globl same_breath
same_breath:
	mov (%rdi), %rax
	mov %edx, (%rsi)
	mov (%rsi), %eax
	mov (%rdi), %rdx
	mov %rax, (%rcx)
	mov %rdx, 8(%rcx)
	ret

	/*
	 * What a guest does: R8 mailbox, R9 a page of its own, R10 the same
	 * without the C-bit, R11 a page of another guest. A block of each goes to
	 * the mailbox; then it writes to the page of its own. R12 and R13 are 16
	 * bytes each of the host's that it copies to the mailbox. Runs at any
	 * address.
	 */
	.globl guest_code, guest_end
guest_code:
	.irp off, 0, 8
	mov \off(%r9), %rax
	mov %rax, \off(%r8)
	mov \off(%r10), %rax
	mov %rax, 16 + \off(%r8)
	mov \off(%r11), %rax
	mov %rax, 32 + \off(%r8)
	.endr
	movq $0x5eed, 0x100(%r9)
	mov 0x100(%r10), %rax		/* in the same breath: as it is now */
	mov %rax, 48(%r8)
	mov 0x108(%r10), %rax
	mov %rax, 56(%r8)
	.irp off, 0, 8
	mov \off(%r12), %rax
	mov %rax, 64 + \off(%r8)
	mov \off(%r13), %rax
	mov %rax, 80 + \off(%r8)
	.endr
	.byte 0xf3, 0x0f, 0x01, 0xd9	/* VMGEXIT */
	jmp guest_code
guest_end:

	.section .data
	.balign 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
gdtr:
	.word gdtr - gdt - 1
	.quad gdt
idtr:
	.word 0
	.quad 0

	.globl pdpt
	.section .bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4096 * 4
pt:	.skip 4096
	.skip 65536
stack_top:
	.section .note.GNU-stack, "", @progbits
