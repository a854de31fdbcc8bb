// SPDX-License-Identifier: GPL-2.0-only
/* What firmware tells of an error beyond its status. */
#include <linux/device.h>
#include <linux/io.h>

#include "psp-dev.h"
#include "sev-dev.h"
#include "snp-dev.h"

/**
 * sev_say_more() - Print what firmware left where the buffer's address stood
 * @sev:	the device
 * @cmd:	the command, which has just failed
 * @lsb:	low half of what was written there with it
 * @msb:	high half
 *
 * Nothing, if that is there still. Under sev_cmd_mutex.
 */
void sev_say_more(struct sev_device *sev, int cmd, u32 lsb, u32 msb)
{
	u32 lo = ioread32(sev->io_regs + sev->vdata->cmdbuff_addr_lo_reg);
	u32 hi = ioread32(sev->io_regs + sev->vdata->cmdbuff_addr_hi_reg);

	if (lo == lsb && hi == msb)
		return;

	dev_info_ratelimited(sev->dev, "sev command %#x failed, firmware adds 0x%08x%08x\n",
			     cmd, hi, lo);
}
