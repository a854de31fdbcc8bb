/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two CPUs, one of which loads x87 state over and over, while the other
 * clears and sets its global interrupt flag (APM volume 3, CLGI, STGI).
 *
 * CPU 0 sends itself an interrupt while the flag is clear; once the flag is
 * set the interrupt has to come. QEMU without our changes clears IGNNE#, a
 * flag of CPU 0 in the same word, from CPU 1's thread with every FXRSTOR of a
 * status word without error, and so at times undoes what CPU 0 did meanwhile.
 * Nested paging of a guest is lost in the same way.
 */
#include "two-cpus.h"

#define ROUNDS 2000000

#define COUNT  (DATA + 0x00)
#define AREA   (DATA + 0x200)   /* of FXRSTOR, 512 bytes */
#define VECTOR 0x40

setup:
	movl $0x037f, AREA		/* FCW; no exception in FSW */
	movl $0x1f80, AREA + 24		/* MXCSR */
	gate VECTOR, handler
	mov $0xc0000080, %ecx		/* EFER.SVME */
	rdmsr
	or $0x1000, %eax
	wrmsr
	ret

bsp:
	xor %ebx, %ebx
	sti
round:
	inc %ebx
	clgi
	movl $(0x44000 + VECTOR), APIC + 0x300	/* to self */
	stgi
	mov $0x100000, %ecx
1:	cmp %ebx, COUNT
	je 2f
	loop 1b
	mov $WRONG, %al
	jmp done
2:	cmp $ROUNDS, %ebx
	jne round
	mov $OK, %al
	jmp done

handler:
	incl COUNT
	movl $0, APIC + 0xb0		/* EOI */
	iret

ap:
	fxrstor AREA
	jmp ap

	gates_to VECTOR

	reset_vector
