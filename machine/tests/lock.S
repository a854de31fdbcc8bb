/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A locked instruction that crosses into a page that is not present, with
 * CF and DF set: the frame of its #PF must show them (APM volume 2, 8.8.1).
 *
 * With more than one CPU, QEMU executes it alone in the world; there QEMU
 * without our changes loses both if the instruction faults. The second CPU
 * just has to exist.
 */
#include "two-cpus.h"

#define PAGE   0x60000          /* at LIN; none behind it */
#define PF     14

setup:
	page_tables
	movl $(PAGE + 3), PT
	gate PF, fault
	ret

bsp:
	enable_paging 1f
1:	xor %eax, %eax
	stc
	std
	xchg %eax, LIN + 0xffe
	mov $WRONG, %al		/* no fault */
	jmp done
fault:
	mov 12(%esp), %ebx
	and $0x401, %ebx
	mov $OK, %al
	cmp $0x401, %ebx
	je done
	mov $WRONG, %al
	jmp done

	idle_ap

	gates_to PF

	reset_vector
