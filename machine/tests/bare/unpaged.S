/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host that leaves paging, and with it long mode, for one store, or for VMRUN with
 * paging as of 32 bits. Code, stack, GDT and page tables are below 4 GiB, where
 * they are mapped one to one.
 */
#define CODE64   8
#define CODE32   24
#define VEC_PF   14
#define CR0_PG   0x80000000
#define EFER     0xc0000080
#define EFER_LME 0x100

	.text
	.code64
	/*
	 * uint64_t unpaged_write(uint64_t spa, uint32_t value), @spa below 4 GiB:
	 * 0, or the error code of the page fault; then CR2 is the address.
	 */
	.globl unpaged_write
unpaged_write:
	movl $store, operation
	jmp unpaged
	/*
	 * void legacy_vmrun(uint64_t vmcb, uint64_t rdi): the guest's RDI. The
	 * caller has filled legacy_pdpt, of PAE.
	 */
	.globl legacy_vmrun, legacy_pdpt
legacy_vmrun:
	movl $enter, operation
unpaged:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
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
	mov %cr0, %ecx
	mov %ecx, cr0_was
	and $~CR0_PG, %ecx
	mov %ecx, %cr0
	jmp *operation
store:
	mov %esi, (%edi)
return:
	mov cr0_was, %ecx
	mov %ecx, %cr0
	jmp 1f
1:	ljmp $CODE64, $back
	.code64
back:
	mov stack_was, %rsp
	lidt idt_was
	mov %eax, %eax
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.code32
page_fault:
	mov (%esp), %eax
	jmp return
	/* of the registers only the stack's is the host's own behind #VMEXIT */
enter:
	mov %cr3, %eax
	mov %eax, cr3_was
	mov $legacy_pdpt, %eax
	mov %eax, %cr3
	mov $EFER, %ecx
	rdmsr
	and $~EFER_LME, %eax
	wrmsr
	mov cr0_was, %ecx
	mov %ecx, %cr0
	jmp 1f
1:	mov %edi, %eax
	mov %esi, %edi
	vmrun %eax
	stgi
	mov cr0_was, %ecx
	and $~CR0_PG, %ecx
	mov %ecx, %cr0
	jmp 1f
1:	mov $EFER, %ecx
	rdmsr
	or $EFER_LME, %eax
	wrmsr
	mov cr3_was, %eax
	mov %eax, %cr3
	jmp return

	.section .data
	.balign 8
to_32:
	.long leave
	.word CODE32
operation:
	.long 0
cr0_was:
	.long 0
cr3_was:
	.long 0
	.balign 32
legacy_pdpt:
	.fill 4, 8, 0
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
