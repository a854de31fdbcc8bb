/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host that leaves paging, and with it long mode, for one store. Code, stack,
 * GDT and page tables are below 4 GiB, where they are mapped one to one.
 */
#define CODE64   8
#define CODE32   24
#define VEC_PF   14
#define CR0_PG   0x80000000

	.text
	.code64
	/*
	 * uint64_t unpaged_write(uint64_t spa, uint32_t value), @spa below 4 GiB:
	 * 0, or the error code of the page fault; then CR2 is the address.
	 */
	.globl unpaged_write
unpaged_write:
	push %rbx
	push %rbp
	mov %rsp, stack_was
	sidt idt_was
	mov $page_fault, %eax
	mov %ax, idt32 + VEC_PF * 8
	shr $16, %eax
	mov %ax, idt32 + VEC_PF * 8 + 6
	lidt idtr32
	xor %eax, %eax
	ljmp *to_32
	.code32
leave:
	mov %cr0, %ebx
	mov %ebx, %ecx
	and $~CR0_PG, %ecx
	mov %ecx, %cr0
	jmp 1f
1:	mov %esi, (%edi)
return:
	mov %ebx, %cr0
	jmp 1f
1:	ljmp $CODE64, $back
	.code64
back:
	mov stack_was, %rsp
	lidt idt_was
	mov %eax, %eax
	pop %rbp
	pop %rbx
	ret

	.code32
page_fault:
	mov (%esp), %eax
	jmp return

	.section .data
	.balign 8
to_32:
	.long leave
	.word CODE32
	.balign 8
idt32:
	.fill VEC_PF, 8, 0
	.word 0, CODE32, 0x8e00, 0
idtr32:
	.word . - idt32 - 1
	.quad idt32
idt_was:
	.skip 16
	.balign 8
stack_was:
	.quad 0

	.section .note.GNU-stack, "", @progbits
