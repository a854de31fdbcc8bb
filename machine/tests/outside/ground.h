/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 2 MiB whose pages change hands, in bytes; nothing else lies there. */
#define GROUND 0x4000000
