/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two CPUs, one of which modifies code that the other executes.
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
 */
#include "two-cpus.h"

#define ROUNDS 4000

#define CODE   0x10000          /* the page that is modified */
#define TOLD   (DATA + 0x00)

setup:
	mov $CODE, %edi
	xor %eax, %eax
	mov $0x400, %ecx
	rep stosl
	movl $0x000000b8, CODE + 0x3f	/* mov $0, %eax: n is aligned */
	movb $0xc3, CODE + 0x44
	movb $0xc3, CODE + 0x800	/* the other code: ret */
	ret

bsp:
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
	wait_acked
	dec %esi
	jnz round
	end_of_rounds

ap:
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
	jmp ap
2:	movl $1, STALE
	hlt
	jmp 2b

	reset_vector
