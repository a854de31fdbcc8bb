/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two CPUs, one of which changes what lies where in the address space, while
 * the other writes its APIC's task priority and reads it back.
 *
 * CPU 0 write-protects memory below 1M and takes it back, as firmware does; the
 * APIC stays where it is. QEMU without our changes numbers the regions of each map and
 * looks a cached number up in the newest map: until CPU 1 has dropped its
 * translations, what it writes to the APIC goes elsewhere. A kernel that
 * loses an EOI so gets no interrupt of that priority again.
 */
#include "two-cpus.h"

#define ROUNDS 20000

#define LOST   (DATA + 0x00)
#define PAM5   0x80000094       /* host bridge; of E0000h, E4000h at byte 1 */

setup:
	ret

bsp:
	mov $ROUNDS, %ebx
1:	mov $PAM5, %eax
	mov $0xcf8, %dx
	out %eax, %dx
	mov $0x11, %al			/* reads go to memory */
	mov $0xcfd, %dx
	out %al, %dx
	mov $0x33, %al			/* reads and writes do */
	out %al, %dx
	cmpl $0, LOST
	jne 2f
	dec %ebx
	jnz 1b
	mov $OK, %al
	jmp done
2:	mov $WRONG, %al
	jmp done

ap:
	add $0x10, %bl
	movzbl %bl, %eax
	mov %eax, APIC + 0x80		/* TPR */
	cmp %eax, APIC + 0x80
	je ap
	movl $1, LOST
	jmp ap

	reset_vector
