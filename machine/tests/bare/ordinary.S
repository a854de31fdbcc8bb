/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guests of ordinary.c execute, in the host's own address space. Each
 * ends by VMMCALL, if nothing ends it before.
 */
	.macro guest name
	.globl \name
\name:
	.endm
	.macro leave
	vmmcall
	hlt
	.endm

	.text
	.code64
guest o_leave
	leave
guest o_sti
	sti
	nop
	leave
guest o_from_cr4
	mov %cr4, %rax
	leave
guest o_to_cr4
	mov %rbx, %cr4
	leave
guest o_to_cr3
	mov %rbx, %cr3
	leave
guest o_to_dr0
	mov %rsi, %db0
	leave
guest o_invlpg
	invlpg (%rdi)
	leave
guest o_int
	int $0x77
	leave
guest o_int3
	int3
	leave
guest o_cpuid
	cpuid
	.globl o_cpuid_end
o_cpuid_end:
	leave
guest o_rdtscp
	rdtscp
	leave
guest o_ud
	ud2
	leave
guest o_ist
	int $0x51
	leave
	/* a load of 7 bytes */
guest o_load
	mov 0x10(,%rdi,1), %rbx
	.globl o_load_end
o_load_end:
	leave
guest o_cr8
	xor %eax, %eax
	mov %rax, %cr8
	nop
	leave
	/* the MSR ECX as it is, then RBX's low half in it */
guest o_msr
	rdmsr
	mov %eax, o_said
	mov %edx, o_said + 4
	mov %ebx, %eax
	wrmsr
	leave
	/* about a second of TCG's */
guest o_spin
	mov $2000000000, %rcx
1:	dec %rcx
	jnz 1b
	leave
	/* RCX times one more than RBX */
guest o_turn
1:	inc %rbx
	dec %rcx
	jnz 1b
	mov %rbx, o_said
	leave
	.code32
guest o_leave32
	vmmcall
	hlt
	.code64

	/* an interrupt without error code: counted, and where it came from */
guest o_vector
	push %rax
	incq o_count
	mov 8(%rsp), %rax
	mov %rax, o_from
	pop %rax
	iretq

	/* void host_vmload(uint64_t pa) */
	.globl host_vmload
host_vmload:
	mov %rdi, %rax
	vmload %rax
	ret

	/* XSAVEC and XRSTOR of PKRU alone; the latter says what it is then */
	.globl op_xsavec_pkru, op_xrstor_pkru
op_xsavec_pkru:
	mov $0x200, %eax
	xor %edx, %edx
	xsavec64 (%rdi)
	ret
op_xrstor_pkru:
	mov $0x200, %eax
	xor %edx, %edx
	xrstor64 (%rdi)
	xor %ecx, %ecx
	.byte 0x0f, 0x01, 0xee		/* RDPKRU */
	ret

	.section .bss
	.balign 8
	.globl o_count, o_from, o_said
o_count:
	.skip 8
o_from:
	.skip 8
o_said:
	.skip 8

	.section .note.GNU-stack, "", @progbits
