/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An instruction that begins at the end of a page table and goes on in a page
 * which that table maps, not accessed yet: to fetch its end, the accessed bit
 * is set in the page that its begin is being translated from.
 *
 * Whoever translates holds that page. The second CPU just has to exist.
 */
#include "two-cpus.h"

#define PAGE   0x60000          /* at LIN + 1000h */

setup:
	page_tables
	movl $(PT + 3), PT		/* at LIN */
	movl $(PAGE + 3), PT + 4
	movw $0x34b8, PT + 0xffe	/* mov $0x78563434, %eax; jmp *%edx */
	movl $0xff785634, PAGE
	movb $0xe2, PAGE + 4
	ret

bsp:
	enable_paging 1f
1:	mov $(0xf0000 + 1f - start), %edx
	mov $(LIN + 0xffe), %ecx
	jmp *%ecx
1:	cmp $0x78563434, %eax
	jne bad
	testb $0x20, PT + 4		/* accessed */
	jz bad
	mov $OK, %al
	jmp done
bad:
	mov $WRONG, %al
	jmp done

	idle_ap

	reset_vector
