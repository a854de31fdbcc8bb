/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XSAVE by one CPU to a page whose first code the other translates meanwhile.
 *
 * What holds a host pointer to the page stores unnoticed: XSAVE asks for its
 * area once, and stores the header last. Most of the area is where no memory
 * is, which takes long enough for the other CPU to begin and end. The header
 * is code: XSTATE_BV keeps all but its low bits, which are the register of a
 * "mov $1, %eax; ret". CPU 0 makes that %eax, says `go`, and by XSAVE %edi.
 * CPU 1 executes it at `go`, whichever it finds; once XSAVE is over it has to
 * be %edi (APM volume 2, 7.6.1, cross-modifying code).
 */
#include "two-cpus.h"

#define ROUNDS 2000

#define AREA   (0x4000000 - 576)	/* up to YMM in the last page of memory */
#define CODE   (AREA + 512)
#define GO     (DATA + 0x00)
#define SAVED  (DATA + 0x40)

setup:
	movl $0x000001b8, CODE		/* mov $1, %eax */
	movl $0x0000c300, CODE + 4	/* ret */
	ret

bsp:
	mov %cr4, %eax
	or $0x40600, %eax		/* OSXSAVE, OSXMMEXCPT, OSFXSR */
	mov %eax, %cr4
	mov $7, %eax			/* x87, SSE, AVX */
	xor %edx, %edx
	xor %ecx, %ecx
	xsetbv
	xor %ebx, %ebx
round:
	inc %ebx
	movb $0xb8, CODE
	mov %ebx, GO
	mov %ebx, %ecx			/* sooner or later */
	and $0xff, %ecx
1:	sub $1, %ecx
	jns 1b
	mov $7, %eax
	xor %edx, %edx
	xsave AREA
	mov %ebx, SAVED
	wait_acked
	cmp $ROUNDS, %ebx
	jb round
	end_of_rounds

ap:
	xor %esi, %esi
	mov $CODE, %ebp
1:	inc %esi
2:	cmp %esi, GO
	jne 2b
	call *%ebp
2:	cmp %esi, SAVED
	jne 2b
	xor %eax, %eax
	cpuid				/* serialize */
	xor %edi, %edi
	call *%ebp
	dec %edi
	jnz 3f
	mov %esi, ACKED
	jmp 1b
3:	movl $1, STALE
	hlt
	jmp 3b

	reset_vector
