/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What outside.c's host and guest execute. */
	.text
	.code64
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

	.section .note.GNU-stack, "", @progbits
