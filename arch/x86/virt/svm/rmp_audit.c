// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs: what the RMP says about every page of memory.
 *
 * sev-snp/audit walks all entries. BALANCED means that no page belongs to a
 * guest, is on its way to or from one, or is leaked: what is assigned is
 * firmware's. That is the state after the last guest is gone.
 *
 * Where entries are read by RMPREAD, guests' pages are in state "guest", and
 * their contexts cannot be told from other pages of firmware's.
 */
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <asm/pgtable_types.h>

#include "rmp.h"

static const char * const rmp_state_names[RMP_NR_STATES] = {
	[RMP_HYPERVISOR]	= "hypervisor",
	[RMP_HV_FIXED]		= "hv-fixed",
	[RMP_RECLAIM]		= "reclaim",
	[RMP_FIRMWARE]		= "firmware",
	[RMP_CONTEXT]		= "context",
	[RMP_PRE_GUEST]		= "pre-guest",
	[RMP_GUEST_INVALID]	= "guest-invalid",
	[RMP_GUEST_VALID]	= "guest-valid",
	[RMP_GUEST]		= "guest",
};

static void count_segment(const struct rmp_table *t, u64 pfn, u64 end,
			  struct rmp_census *c)
{
	struct rmp_entry e;
	int level;
	u64 n;

	for (; pfn < end; pfn += n) {
		n = 1;
		if (rmp_read_entry(t, pfn, &e, &level))
			return;
		if (level == PG_LEVEL_2M && !(pfn & (RMP_PFNS_PER_2M - 1))) {
			n = min_t(u64, RMP_PFNS_PER_2M, end - pfn);
			c->huge++;
		}
		c->pages[rmp_state_of(&e)] += n;
		if (e.assigned && e.asid < RMP_NR_ASIDS)
			c->asid[e.asid] += n;
		if (!(pfn & 0xffff))
			cond_resched();
	}
}

/* Add what all entries say to @c. They may change meanwhile. Sleeps. */
void rmp_count(const struct rmp_table *t, struct rmp_census *c)
{
	unsigned int i;
	u64 pfn;

	c->leaked += atomic_long_read(&t->stats->leaked);

	for (i = 0; i < t->nr_segments; i++) {
		pfn = (u64)i << t->shift;
		if (t->segments[i].entries)
			count_segment(t, pfn, pfn + t->segments[i].npages, c);
	}
}

bool rmp_balanced(const struct rmp_census *c)
{
	return !c->leaked && !c->pages[RMP_RECLAIM] &&
	       !c->pages[RMP_CONTEXT] && !c->pages[RMP_PRE_GUEST] &&
	       !c->pages[RMP_GUEST_INVALID] && !c->pages[RMP_GUEST_VALID] &&
	       !c->pages[RMP_GUEST];
}

static int audit_show(struct seq_file *m, void *v)
{
	struct rmp_census *c;
	int i;

	c = kvzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return -ENOMEM;

	rmp_count(&rmp_host, c);

	for (i = 0; i < RMP_NR_STATES; i++)
		seq_printf(m, "%s %llu\n", rmp_state_names[i], c->pages[i]);
	seq_printf(m, "entries-2m %llu\nleaked %ld\nrmpupdate %ld\npsmash %ld\n",
		   c->huge, c->leaked,
		   atomic_long_read(&rmp_host.stats->updates),
		   atomic_long_read(&rmp_host.stats->psmash));

	for (i = 1; i < RMP_NR_ASIDS; i++)
		if (c->asid[i])
			seq_printf(m, "asid %d %llu\n", i, c->asid[i]);

	seq_puts(m, rmp_balanced(c) ? "BALANCED\n" : "UNBALANCED\n");

	kvfree(c);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(audit);

static const char * const rmp_leak_names[SNP_NR_LEAKS] = {
	[SNP_LEAK_GUEST]	= "guest",
	[SNP_LEAK_VMSA]		= "vmsa",
	[SNP_LEAK_CONTEXT]	= "context",
	[SNP_LEAK_COMMAND]	= "command",
	[SNP_LEAK_RECLAIM]	= "reclaim",
	[SNP_LEAK_BESIDE]	= "beside",
};

/* Each leaked page with its reason, and how many the list has missed. */
void rmp_list_leaked(const struct rmp_table *t, struct seq_file *m)
{
	long left = atomic_long_read(&t->stats->leaked);
	unsigned long pfn;
	void *entry;

	/* What is leaked from here on is listed before it is counted. */
	xa_for_each(&t->stats->list, pfn, entry) {
		seq_printf(m, "0x%lx %s\n", pfn,
			   rmp_leak_names[xa_to_value(entry)]);
		left--;
	}
	if (left > 0)
		seq_printf(m, "not listed %ld\n", left);
}

static int leaked_show(struct seq_file *m, void *v)
{
	rmp_list_leaked(&rmp_host, m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(leaked);

static int __init rmp_audit_init(void)
{
	struct dentry *dir;

	if (!rmp_host.nr_segments)
		return 0;

	dir = debugfs_create_dir("sev-snp", NULL);
	debugfs_create_file("audit", 0400, dir, NULL, &audit_fops);
	debugfs_create_file("leaked", 0400, dir, NULL, &leaked_fops);
	return 0;
}
late_initcall(rmp_audit_init);
