// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A module that does what no kernel is to do: it writes to pages that are not
 * the kernel's, at the physical addresses "pa", each in a thread of its own, which
 * that ends. Of lab/cases/fault.py.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched/task.h>

static unsigned long pa[4];
static int nr_pa;
module_param_array(pa, ulong, &nr_pa, 0);

static int write_there(void *arg)
{
	void *page = memremap(*(unsigned long *)arg, PAGE_SIZE, MEMREMAP_WB);

	if (!page)
		return -ENOMEM;

	WRITE_ONCE(*(u64 *)page, 0);
	memunmap(page);
	pr_err("rmp_write: %#lx was written to\n", *(unsigned long *)arg);
	return 0;
}

static int __init rmp_write_init(void)
{
	struct task_struct *task;
	int i;

	for (i = 0; i < nr_pa; i++) {
		task = kthread_create(write_there, &pa[i], "rmp_write/%d", i);
		if (IS_ERR(task))
			return PTR_ERR(task);

		get_task_struct(task);
		wake_up_process(task);
		while (!READ_ONCE(task->exit_state))
			msleep(10);
		put_task_struct(task);
	}

	return -EAGAIN;
}
module_init(rmp_write_init);

MODULE_LICENSE("GPL");
