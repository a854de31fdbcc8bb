/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ROM that brings two CPUs up in flat 32-bit mode. What they do there is
 * the test's: it defines
 *
 *   setup  called by CPU 0 before CPU 1 starts, registers are its own
 *   bsp    where CPU 0 goes once CPU 1 is up
 *   ap     where CPU 1 goes
 *
 * and ends by a jump to `done` with %al OK or WRONG. QEMU's exit status is
 * then 33 or 35; 37 if the second CPU did not come up. Not 1: that is QEMU's own
 * if it does not start.
 * Memory from DATA, 4K, is zero at setup; stacks end at 30000h and 40000h.
 */
#define OK     0x10
#define WRONG  0x11
#define NO_CPU 0x12

#define DATA   0x20000
#define UP     (DATA + 0x80)
#define ACKED  (DATA + 0xc0)		/* for wait_acked */
#define STALE  (DATA + 0x100)
#define IDT    (DATA + 0x800)
#define TRAMP  0x9000
#define APIC   0xfee00000

	.section .text
	.code16
	.org 0
start:
	cli
	cs lgdtl gdtr - start
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $8, $(0xf0000 + bsp32 - start)

	.code32
bsp32:
	mov $16, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $0x30000, %esp
	cld
	mov $DATA, %edi
	xor %eax, %eax
	mov $0x400, %ecx
	rep stosl
	call setup
	mov $(0xf0000 + tramp - start), %esi
	mov $TRAMP, %edi
	mov $(tramp_end - tramp), %ecx
	rep movsb

	/* enable the APIC; INIT and STARTUP to all but self */
	movl $0x1ff, APIC + 0xf0
	movl $0x000c4500, APIC + 0x300
	mov $1000000, %ecx
1:	pause
	loop 1b
	movl $(0x000c4600 + (TRAMP >> 12)), APIC + 0x300
	mov $200000000, %ecx
1:	cmpl $1, UP
	je bsp
	pause
	loop 1b
	mov $NO_CPU, %al
done:
	out %al, $0xf4			/* isa-debug-exit */
	hlt
	jmp done
ap32:
	mov $16, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $0x40000, %esp
	movl $1, UP
	jmp ap

	.code16
tramp:
	cli
	/* the ROM's GDT: the segment of the reset vector is below 1M, too */
	mov $0xf000, %ax
	mov %ax, %ds
	lgdtl gdtr - start
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $8, $(0xf0000 + ap32 - start)
tramp_end:

	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
gdtr:
	.word gdtr - gdt - 1
	.long 0xf0000 + gdt - start

/*
 * Page tables: 4M each, one to one, for what runs and the APIC. Pages from LIN
 * are by PT, which is zero. Uses %eax, %ecx, %edi. Each CPU sets CR0.PG itself.
 */
#define PD     0x50000
#define PT     0x51000
#define LIN    0x400000

	.macro page_tables
	mov $PD, %edi
	xor %eax, %eax
	mov $0x800, %ecx		/* PD and PT */
	rep stosl
	movl $0x83, PD
	movl $(0xfec00000 + 0x83), PD + 0x3fb * 4
	movl $(PT + 3), PD + 4
	mov %cr4, %eax
	or $0x10, %al			/* PSE */
	mov %eax, %cr4
	mov $PD, %eax
	mov %eax, %cr3
	.endm

	/* An IDT whose one gate, that of `vector`, leads to `to`. Uses %eax. */
	.macro gate vector, to
	mov $(0xf0000 + \to - start), %eax
	mov %ax, IDT + \vector * 8
	movw $8, IDT + \vector * 8 + 2
	movw $0x8e00, IDT + \vector * 8 + 4
	shr $16, %eax
	mov %ax, IDT + \vector * 8 + 6
	lidtl 0xf0000 + idtr - start
	.endm

	/* and its limit */
	.macro gates_to vector
	.balign 8
idtr:
	.word (\vector + 1) * 8 - 1
	.long IDT
	.endm

	/* What CPU 1 does where it just has to exist */
	.macro idle_ap
ap:
	hlt
	jmp ap
	.endm

	/*
	 * CPU 0 waits until CPU 1 has stored %ebx, the round's number, to ACKED;
	 * or something to STALE: what it found there is to be the end.
	 */
	.macro wait_acked
1:	cmpl $0, STALE
	jne stale
	cmp %ebx, ACKED
	jne 1b
	.endm

	/* All rounds went well; and where `wait_acked` ends if one did not */
	.macro end_of_rounds
	mov $OK, %al
	jmp done
stale:
	mov $WRONG, %al
	jmp done
	.endm

	/* Goes on at `to` with paging on. Uses %eax, %edx. */
	.macro enable_paging to
	mov $(0xf0000 + \to - start), %edx
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	jmp *%edx
	.endm

	.macro reset_vector
	.org 0xfff0
	.code16
	.byte 0xea			/* ljmp $0xf000, $start */
	.word 0
	.word 0xf000
	.org 0x10000
	.endm
	.code32
