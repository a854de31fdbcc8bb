/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the bare host comes up: a multiboot loader leaves it in flat 32-bit
 * mode, it goes on in 64-bit mode with the first 1 GiB mapped one to one.
 * Exceptions, probes and the instructions under test follow.
 */
#define MULTIBOOT      0x1badb002
#define MB_FLAGS       0x00010002	/* memory map, addresses in the header */

	.section .boot, "ax"
	.code32
	.balign 4
header:
	.long MULTIBOOT, MB_FLAGS, -(MULTIBOOT + MB_FLAGS)
	.long header, image_start, image_end, bss_end, start32

	.globl start32
start32:
	cli
	cld
	mov $stack_top, %esp
	mov %ebx, mb_info
	mov $early_pd, %edi
	mov $0x83, %eax
	mov $512, %ecx
1:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b
	movl $(early_pd + 3), early_pdpt
	movl $(early_pdpt + 3), early_pml4
	mov %cr4, %eax
	or $0x620, %eax			/* PAE, OSFXSR, OSXMMEXCPT */
	mov %eax, %cr4
	mov $early_pml4, %eax
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
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov $stack_top, %rsp
	xor %ebp, %ebp
	call start_c
1:	hlt
	jmp 1b

	/*
	 * A second CPU: what C copies below 1 MiB to begin with, the address of
	 * gdtr's copy behind it; then as the first one, with its tables.
	 */
	.globl ap_start, ap_start_gdtr, ap_start_end, ap_cr3
	.code16
ap_start:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	lgdtl ap_start_gdtr - ap_start
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	ljmpl $24, $ap32
ap_start_gdtr:
	.word 0
	.long 0
ap_start_end:

	.code32
ap32:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $ap_stack_top, %esp
	mov %cr4, %eax
	or $0x620, %eax
	mov %eax, %cr4
	mov ap_cr3, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x1900, %eax
	wrmsr
	mov %cr0, %eax
	or $0x80010001, %eax
	and $~0x60000004, %eax
	mov %eax, %cr0
	ljmp $8, $ap64
	.code64
ap64:
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	xor %ebp, %ebp
	call *ap_main
1:	hlt
	jmp 1b

	/* Exceptions: vector and error code on the stack, then C */
	.macro stub vec
	.balign 16
	.if (\vec == 8) || (\vec >= 10 && \vec <= 14) || (\vec == 17) || \
	    (\vec == 21) || (\vec == 29) || (\vec == 30)
	.else
	push $0
	.endif
	push $\vec
	jmp exception
	.endm

	.balign 16
	.globl stubs
stubs:
	.irp vec, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, \
		17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	stub \vec
	.endr

exception:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, %rdi
	call trap
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	/* uint64_t probe_call(op, a, b): an exception in op ends it */
	.globl probe_call
probe_call:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, probe_sp
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	call *%rax
	.globl probe_end
probe_end:
	movq $0, probe_sp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.globl op_read, op_write, op_fetch, op_rmpupdate, op_psmash
	.globl op_pvalidate, op_rmpadjust, op_hsave, op_rmpupdate_flags
	.globl op_psmash_flags, op_rmpread, op_rmpquery, op_watched, op_wrmsr
	.globl op_rdmsr
op_read:
	mov (%rdi), %rax
	ret
op_write:
	mov %rsi, (%rdi)
	ret
op_fetch:
	jmp *%rdi
op_rmpupdate:
	mov %rdi, %rax
	mov %rsi, %rcx
	.byte 0xf2, 0x0f, 0x01, 0xfe
	ret
op_rmpread:
	mov %rdi, %rax
	mov %rsi, %rcx
	.byte 0xf2, 0x0f, 0x01, 0xfd
	ret
op_psmash:
	mov %rdi, %rax
	.byte 0xf3, 0x0f, 0x01, 0xff
	ret
	/* the status, and RFLAGS from bit 32 */
	.macro with_flags insn
	push $0x8d5		/* all that the result decides, the wrong way */
	popfq
	call \insn
	pushfq
	pop %rdx
	shl $32, %rdx
	or %rdx, %rax
	ret
	.endm
op_rmpupdate_flags:
	with_flags op_rmpupdate
op_psmash_flags:
	with_flags op_psmash
op_pvalidate:
	mov %rdi, %rax
	xor %ecx, %ecx
	xor %edx, %edx
	.byte 0xf2, 0x0f, 0x01, 0xff
	ret
op_rdmsr:
	mov %edi, %ecx
	rdmsr
	shl $32, %rdx
	or %rdx, %rax
	ret
op_hsave:
	mov %rdi, %rsi
	mov $0xc0010117, %edi
op_wrmsr:
	mov %edi, %ecx
	mov %esi, %eax
	mov %rsi, %rdx
	shr $32, %rdx
	wrmsr
	ret
	/*
	 * Writes where DR0 watches, while DR1 watches where the exception's
	 * frame will have CS.
	 */
op_watched:
	mov %rdi, %db0
	mov %rsp, %rax
	and $~15, %rax
	sub $32, %rax
	mov %rax, %db1
	mov $0x990405, %eax	/* L0, L1; each 8 bytes, writes */
	mov %rax, %db7
	mov %rsi, (%rdi)
	nop
	ret
op_rmpquery:
	mov %rdi, %rax
	mov $1, %edx
	.byte 0xf3, 0x0f, 0x01, 0xfd
	ret
op_rmpadjust:
	mov %rdi, %rax
	xor %ecx, %ecx
	mov $1, %edx
	.byte 0xf3, 0x0f, 0x01, 0xfe
	ret

	/*
	 * void run_guest(uint64_t vmcb, const uint64_t r[4]): RCX, RDX, RBX, RDI
	 * of a guest that has no VMSA. Interrupts are off throughout.
	 */
	.globl run_guest
run_guest:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rdi, %rax
	mov (%rsi), %rcx
	mov 8(%rsi), %rdx
	mov 16(%rsi), %rbx
	mov 24(%rsi), %rdi
	vmrun %rax
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	cmpb $0, gif_stays_clear
	jne 1f
	stgi
1:	ret

	/* What waited for GIF, and what waited for IF, too */
	.globl op_stgi, op_stgi_sti
op_stgi:
	stgi
	nop
	ret
op_stgi_sti:
	stgi
	sti
	nop
	nop
	cli
	ret

	.globl host_vmsave, op_vmsave
host_vmsave:
op_vmsave:
	mov %rdi, %rax
	vmsave %rax
	ret

	.section .data
	.balign 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00cf9b000000ffff	/* of 32 bits, for a second CPU */
	.globl gdtr
gdtr:
	.word gdtr - gdt - 1
	.quad gdt
	.balign 8
	.globl ap_main
ap_main:
	.quad 0
ap_cr3:
	.quad 0
	.globl probe_sp, gif_stays_clear
probe_sp:
	.quad 0
gif_stays_clear:
	.byte 0

	.section .bss
	.globl mb_info
mb_info:
	.skip 8
	.balign 4096
early_pml4:
	.skip 4096
early_pdpt:
	.skip 4096
early_pd:
	.skip 4096
	.skip 65536
stack_top:
	.skip 16384
ap_stack_top:

	.section .note.GNU-stack, "", @progbits
