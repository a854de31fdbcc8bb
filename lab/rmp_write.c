// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A module that does what no kernel is to do: it writes to a page that is not
 * the kernel's, at the physical address "pa". Of lab/cases/fault.py.
 */
#include <linux/io.h>
#include <linux/module.h>

static unsigned long pa;
module_param(pa, ulong, 0);

static int __init rmp_write_init(void)
{
	void *page = memremap(pa, PAGE_SIZE, MEMREMAP_WB);

	if (!page)
		return -ENOMEM;

	WRITE_ONCE(*(u64 *)page, 0);
	memunmap(page);
	return -EAGAIN;
}
module_init(rmp_write_init);

MODULE_LICENSE("GPL");
