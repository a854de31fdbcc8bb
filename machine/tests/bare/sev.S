/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a bare guest without SNP executes: operations that its host wrote into
 * the page at RDI, 32 bytes each: kind, address, operand, result. Then it exits,
 * and begins again. Its stack and R12 count how often. Runs at any address.
 */
	.section .rodata
	.code64
	.globl sev_code, sev_code_end, sev_load
sev_code:
	inc %r12			/* a SEV-ES guest's alone */
	incq -1024(%rsp)
	mov %rdi, %rsi
1:	mov (%rsi), %rax
	mov 8(%rsi), %rbx
	mov 16(%rsi), %rcx
	cmp $1, %rax
	je op_load
	cmp $2, %rax
	je op_store
	cmp $3, %rax
	je op_load_byte
	cmp $4, %rax
	je op_store_byte
	cmp $5, %rax
	je op_call
	cmp $6, %rax
	je op_add
	cmp $7, %rax
	je op_move
	mov -1024(%rsp), %rcx
	mov %rcx, 24(%rsi)
	mov %r12, 16(%rsi)
	.byte 0xf3, 0x0f, 0x01, 0xd9	/* VMGEXIT, or VMMCALL */
	jmp sev_code
op_load:
sev_load:
	mov (%rbx), %rcx
	jmp 2f
op_store:
	mov %rcx, (%rbx)
	jmp 2f
op_load_byte:
	movzbl (%rbx), %ecx
	jmp 2f
op_store_byte:
	mov %cl, (%rbx)
	jmp 2f
op_call:
	call *%rbx
	mov %rax, %rcx
	jmp 2f
op_add:
	lock xadd %rcx, (%rbx)
	jmp 2f
	/* eight bytes from one address to another, by one instruction */
op_move:
	push %rsi
	push %rdi
	mov %rbx, %rsi
	mov %rcx, %rdi
	movsq
	pop %rdi
	pop %rsi
2:	mov %rcx, 24(%rsi)
	add $32, %rsi
	jmp 1b
sev_code_end:

	.section .note.GNU-stack, "", @progbits
