/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a bare guest executes. It is copied to a page of its own and runs
 * there, so nothing here is addressed but relative to itself, and the page
 * that guest and host share (vm.h).
 *
 * An operation has its operands in RAX, RCX and RDX, and RDI is where the
 * answer goes. A guest executes one operation and exits.
 */
#define ANSWER_DONE   1
#define ANSWER_TRAP   2

	.macro vmgexit
	.byte 0xf3, 0x0f, 0x01, 0xd9
	.endm

	.section .rodata
	.balign 4096
	.code64
	.globl blob, blob_end
blob:
	.globl g_spin
	/* till an event ends it; the host sees that it has begun */
g_spin:
	movq $1, 64(%rdi)
1:	jmp 1b
	/* Takes a page and writes to all of it, again and again, till it is gone */
	.globl g_hammer
g_hammer:
	mov %rax, %rsi
	.byte 0xf2, 0x0f, 0x01, 0xff
	mov $0x736e7070, %r8d
	shl $32, %r8
1:	mov %rsi, %rbx
	mov $512, %ecx
2:	mov %r8, (%rbx)
	add $8, %rbx
	loop 2b
	inc %r8
	incq 64(%rdi)
	jmp 1b

	/* till the host says so */
	.globl g_wait
g_wait:
	movq $1, 64(%rdi)
1:	cmpq $0, 72(%rdi)
	je 1b
	xor %ebx, %ebx
	jmp g_done
	.globl g_read, g_write, g_fetch, g_pvalidate, g_rmpadjust, g_rescind
	.globl g_done, g_traps, g_rescind_code, g_rmpquery
g_read:
	mov (%rax), %rax
	jmp g_done
g_write:
	mov %rdx, (%rax)
	jmp g_done
g_fetch:
	call *%rax
	jmp g_done
g_pvalidate:
	.byte 0xf2, 0x0f, 0x01, 0xff
	setc %bl
	jmp g_done
g_rmpadjust:
	.byte 0xf3, 0x0f, 0x01, 0xfe
	jmp g_done
g_rmpquery:
	.byte 0xf3, 0x0f, 0x01, 0xfd
	mov %rcx, 64(%rdi)
	mov %rdx, 72(%rdi)
	jmp g_done
	/* used, rescinded, used again, without leaving the guest in between */
g_rescind:
	mov (%rax), %rbx
	mov %rax, %rsi
	.byte 0xf2, 0x0f, 0x01, 0xff
	mov %rax, 8(%rdi)
	mov (%rsi), %rbx
	mov $-1, %rax
	jmp g_done
	/* the same of a page that is executed */
g_rescind_code:
	mov %rax, %rsi
	call *%rsi
	mov %rsi, %rax
	.byte 0xf2, 0x0f, 0x01, 0xff
	mov %rax, 8(%rdi)
	call *%rsi
	mov $-1, %rax
g_done:
	movzx %bl, %ebx
	mov %rax, 8(%rdi)
	mov %rbx, 16(%rdi)
	movq $ANSWER_DONE, (%rdi)
1:	vmgexit
	jmp 1b

	/* DR0 to DR3 and their masks, from this place of the answer on */
	.macro report_debug at
	mov %db0, %rcx
	mov %rcx, \at(%rdi)
	mov %db1, %rcx
	mov %rcx, \at+8(%rdi)
	mov %db2, %rcx
	mov %rcx, \at+16(%rdi)
	mov %db3, %rcx
	mov %rcx, \at+24(%rdi)
	mov $0xc0011027, %ecx
	rdmsr
	mov %rax, \at+32(%rdi)
	mov $0xc0011019, %ecx
	rdmsr
	mov %rax, \at+40(%rdi)
	inc %ecx
	rdmsr
	mov %rax, \at+48(%rdi)
	inc %ecx
	rdmsr
	mov %rax, \at+56(%rdi)
	.endm

	/*
	 * Says what they are, makes them RAX and EDX, each next one by 1 more,
	 * exits, and says what they are once more.
	 */
	.globl g_debug_turn
g_debug_turn:
	mov %rax, %rbx
	mov %rdx, %rsi
	report_debug 64
	mov %rbx, %db0
	inc %rbx
	mov %rbx, %db1
	inc %rbx
	mov %rbx, %db2
	inc %rbx
	mov %rbx, %db3
	xor %edx, %edx
	mov %esi, %eax
	mov $0xc0011027, %ecx
	wrmsr
	inc %eax
	mov $0xc0011019, %ecx
	wrmsr
	inc %eax
	inc %ecx
	wrmsr
	inc %eax
	inc %ecx
	wrmsr
	vmgexit
	report_debug 128
	jmp g_done

	/* The clock by three ways, and what it is said to run at */
	.macro report_clock at
	shl $32, %rdx
	or %rdx, %rax
	mov %rax, \at(%rdi)
	.endm
	.globl g_tsc, g_clock
g_tsc:
	rdtsc
	report_clock 64
	jmp g_done
g_clock:
	rdtsc
	report_clock 64
	rdtscp
	report_clock 72
	mov $0x10, %ecx
	rdmsr
	report_clock 80
	mov $0xc0010134, %ecx
	rdmsr
	report_clock 88
	jmp g_done

	/* Instructions that can be intercepted, each the first of its operation */
	.macro insn name, text:vararg
	.globl i_\name
i_\name:
	\text
	jmp g_done
	.endm

	insn cpuid, cpuid
	insn rdtsc, rdtsc
	insn rdtscp, rdtscp
	insn rdpmc, rdpmc
	insn invd, invd
	insn wbinvd, wbinvd
	insn invlpg, invlpg (%rax)
	insn invlpga, invlpga
	insn in, in $0x61, %al
	insn out, out %al, $0x80
	insn rdmsr, rdmsr
	insn wrmsr, wrmsr
	insn vmmcall, vmmcall
	insn vmgexit, vmgexit
	insn vmrun, vmrun
	insn vmload, vmload
	insn vmsave, vmsave
	insn stgi, stgi
	insn clgi, clgi
	insn skinit, skinit
	insn icebp, .byte 0xf1
	insn monitor, monitor
	insn mwait, mwait
	insn xsetbv, xsetbv
	insn pushf, pushf
	insn popf, popf
	insn iret, iretq
	insn int, int $0x20
	insn sidt, sidt 64(%rdi)
	insn sgdt, sgdt 64(%rdi)
	insn sldt, sldt %eax
	insn str, str %eax
	insn lidt, lidt (%rax)
	insn lgdt, lgdt (%rax)
	insn lldt, lldt %ax
	insn verr, verr %ax
	insn ltr, ltr %ax
	insn nop, nop
	insn fninit, fninit
	insn to_ds, mov %eax, %ds
	insn to_ss, mov %eax, %ss
	/* of 32 bits: INTO; BOUND of EAX by two words of the answer's page */
	insn into, .byte 0xce
	insn bound, .byte 0x62, 0x47, 0x40
	insn from_cr0, mov %cr0, %rax
	insn from_cr3, mov %cr3, %rax
	insn from_cr4, mov %cr4, %rax
	insn from_cr8, mov %cr8, %rax
	insn to_cr0, mov %rax, %cr0
	insn to_cr3, mov %rax, %cr3
	insn to_cr4, mov %rax, %cr4
	insn to_cr8, mov %rax, %cr8
	insn from_dr0, mov %db0, %rax
	insn from_dr7, mov %db7, %rax
	insn to_dr0, mov %rax, %db0
	insn to_dr7, mov %rax, %db7
	insn from_cr2, mov %cr2, %rax
	insn to_cr2, mov %rax, %cr2
	.irp n, 1, 2, 3, 4, 5, 6
	insn from_dr\n, mov %db\n, %rax
	insn to_dr\n, mov %rax, %db\n
	.endr
	insn int3, int3
	insn ud2, ud2
	insn div, div %rcx
	insn hlt, hlt
	insn pause, pause
	insn rmpupdate, .byte 0xf2, 0x0f, 0x01, 0xfe
	insn psmash, .byte 0xf3, 0x0f, 0x01, 0xff
	insn rmpread, .byte 0xf2, 0x0f, 0x01, 0xfd
	/* a division by zero that waits, unmasked, for the next x87 instruction */
	.globl i_mf, i_mf_at
i_mf:
	fninit
	movw $0x37b, 64(%rdi)
	fldcw 64(%rdi)
	fld1
	fldz
	fdivrp
i_mf_at:
	fwait
	jmp g_done

	/* The IDT again, elsewhere in the guest's own memory, with a byte changed */
	.set own_idt, 0x1d800
	.macro take_own_idt at, value
	mov %rdi, %rbx
	mov $0x11000, %esi
	mov $own_idt, %edi
	mov $64, %ecx
	rep movsq
	mov %rbx, %rdi
	movb $\value, own_idt + \at
	movw $0x1ff, 64(%rdi)
	movq $own_idt, 66(%rdi)
	lidt 64(%rdi)
	.endm
	/* #GP, whose gate is not present */
	.globl i_df, i_df_at, i_ts, i_ts_at
i_df:
	take_own_idt 13*16+5, 0x0e
i_df_at:
	mov (%rax), %rax
	jmp g_done
	/* #UD, whose stack is IST1 of a TSS that is too short for it */
i_ts:
	take_own_idt 6*16+4, 1
i_ts_at:
	ud2

	/* no descriptor, no handler: #UD, #DF, shutdown */
	.globl i_triple
i_triple:
	lidt (%rax)
	ud2

	/* one of 16 bytes for each vector */
	.balign 16
g_traps:
	.irp vec, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, \
		17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	.balign 16
	.if (\vec == 8) || (\vec >= 10 && \vec <= 14) || (\vec == 17) || \
	    (\vec == 21) || (\vec == 29) || (\vec == 30)
	.else
	push $0
	.endif
	push $\vec
	jmp trapped
	.endr
trapped:
	pop %rcx
	pop %rdx
	mov %rcx, 24(%rdi)
	mov %rdx, 32(%rdi)
	/* not where #VC says that just this is intercepted */
	cmp $29, %rcx
	jne 1f
	cmp $2, %rdx
	je 2f
1:	mov %cr2, %rcx
	mov %rcx, 40(%rdi)
2:
	mov (%rsp), %rcx
	mov %rcx, 48(%rdi)
	movq $ANSWER_TRAP, (%rdi)
	vmgexit
blob_end:

	.section .note.GNU-stack, "", @progbits
