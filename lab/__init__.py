# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: fetches, builds and runs the SNP machine, its hosts and guests."""
