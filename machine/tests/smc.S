/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ROM with two CPUs, one of which modifies code that the other executes.
 *
 * The code is "mov $n, %eax; ret". CPU 0 stores n, then says so in `told`.
 * CPU 1 executes it over and over; once it has read `told` and serialized, no
 * smaller n may come back (APM volume 2, 7.6.1, cross-modifying code). CPU 0
 * waits until CPU 1 has executed the code twice after it was told, so that a
 * stale translation has no way to hide behind the next store.
 *
 * MODE selects how the store is made, and what the rest of the page holds:
 *   0  nothing else: the page loses its last translation with every store
 *   1  other code, executed by CPU 1 too: the page stays one of code
 *   2  as 1, by a locked instruction
 *
 * Ends through isa-debug-exit, port F4h. QEMU's exit status is then 1 if all
 * is well, 3 if the second CPU did not come up, 5 if stale code was executed.
 */
#define ROUNDS 4000

#define CODE   0x10000          /* the page that is modified */
#define DATA   0x20000
#define TOLD   (DATA + 0x00)
#define ACKED  (DATA + 0x40)
#define UP     (DATA + 0x80)
#define STALE  (DATA + 0xc0)
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
	/* nothing that counts is there yet */
	mov $DATA, %edi
	xor %eax, %eax
	mov $0x400, %ecx
	rep stosl
	mov $CODE, %edi
	mov $0x400, %ecx
	rep stosl
	movl $0x000000b8, CODE + 0x3f	/* mov $0, %eax: n is aligned */
	movb $0xc3, CODE + 0x44
	movb $0xc3, CODE + 0x800	/* the other code: ret */
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
	je 2f
	pause
	loop 1b
	mov $1, %al			/* exit status 3 */
	jmp done
2:
	xor %ebx, %ebx			/* n */
	mov $ROUNDS, %esi
round:
	inc %ebx
#if MODE == 2
	mov %ebx, %eax
	xchg %eax, CODE + 0x40
#else
	mov %ebx, CODE + 0x40
#endif
	mov %ebx, TOLD
1:	cmpl $0, STALE
	jne stale
	cmp %ebx, ACKED
	jne 1b
	dec %esi
	jnz round
	xor %al, %al			/* exit status 1 */
	jmp done
stale:
	mov $2, %al			/* exit status 5 */
done:
	out %al, $0xf4
	hlt
ap32:
	mov $16, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $0x40000, %esp
	movl $1, UP
ap_loop:
	mov TOLD, %esi
	xor %eax, %eax
	push %ebx
	cpuid				/* serialize */
	pop %ebx
	mov $(CODE + 0x3f), %edi
	call *%edi
	mov %eax, %ebx
	call *%edi
#if MODE
	mov $(CODE + 0x800), %edx
	call *%edx
#endif
	/* neither may be older than what we had been told */
	cmp %esi, %ebx
	jb 2f
	cmp %esi, %eax
	jb 2f
	mov %esi, ACKED
	jmp ap_loop
2:	movl $1, STALE
	hlt
	jmp 2b

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

	.org 0xfff0
	.byte 0xea			/* ljmp $0xf000, $start */
	.word 0
	.word 0xf000
	.org 0x10000
