/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 loads and stores of 80 bits that cross from a page to one that lies
 * elsewhere in memory, with the first 1 to 9 bytes in the first page.
 *
 * QEMU without our changes goes on behind the first page's memory instead
 * where the first part is shorter than 8 bytes: in an SNP host that is memory
 * which no RMP check was made for. If the second page is no memory, it dies.
 * The second CPU just has to exist.
 */
#include "two-cpus.h"

#define FIRST  0x60000          /* at LIN */
#define BEHIND 0x61000          /* not mapped by PT */
#define SECOND 0x62000          /* at LIN + 1000h */
#define VALUE  (DATA + 0x900)
#define BACK   (DATA + 0x910)

setup:
	page_tables
	movl $(FIRST + 3), PT
	movl $(SECOND + 3), PT + 4
	movl $(0xf0000 + 3), PT + 8	/* our ROM: stores are dropped */
	movl $0x44332211, VALUE
	movl $0x88776655, VALUE + 4
	movw $0x4001, VALUE + 8
	ret

bsp:
	enable_paging 1f
1:	fninit
	mov $9, %ebx			/* bytes in the first page */
next:
	mov $FIRST + 0xff0, %edi	/* all three pages' ends and begins */
	mov $0x20, %ecx
	mov $0xee, %al
	rep stosb
	mov $SECOND, %edi
	mov $0x10, %ecx
	rep stosb

	mov $LIN + 0x1000, %ebp
	sub %ebx, %ebp
	fldt VALUE
	fstpt (%ebp)

	/* the store: byte by byte where it belongs, and none behind */
	mov $VALUE, %esi
	mov $FIRST + 0x1000, %edi
	sub %ebx, %edi
	mov %ebx, %ecx
	repe cmpsb
	jne bad
	mov $SECOND, %edi
	mov $10, %ecx
	sub %ebx, %ecx
	repe cmpsb
	jne bad
	mov $BEHIND, %edi
	mov $0x10, %ecx
	mov $0xee, %al
	repe scasb
	jne bad

	/* the load: from there, whatever stands behind */
	fldt (%ebp)
	fstpt BACK
	mov $VALUE, %esi
	mov $BACK, %edi
	mov $10, %ecx
	repe cmpsb
	jne bad
	dec %ebx
	jnz next

	/* what is not memory has no host address to go on from */
	fldt VALUE
	fstpt LIN + 0x1ffc
	mov $VALUE, %esi
	mov $SECOND + 0xffc, %edi
	mov $4, %ecx
	repe cmpsb
	jne bad
	mov $OK, %al
	jmp done
bad:
	mov $WRONG, %al
	jmp done

	idle_ap

	reset_vector
