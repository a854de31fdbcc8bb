/*
 * Memory encryption: who sees what of a page
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A memory controller keeps DRAM enciphered and shows each page through the
 * key of whoever asks. Here it is the other way round: RAM holds what the
 * page's owner sees, so that owners run at full speed, and outsiders are shown
 * what DRAM would hold.
 *
 *   state of the page             RAM holds              outsiders see
 *   Guest-invalid, -valid,        plaintext of the       RAM, enciphered with
 *   Pre-swap                      entry's ASID           that ASID's key
 *   all others                    what DRAM would hold   the same
 *
 * A page that changes hands is transformed in place: what DRAM would hold
 * stays as it is, and RAM shows it as the new owner sees it. So content put
 * into a page before it is given away is rubbish to its new owner, and what a
 * guest leaves behind is ciphertext to the host, for good.
 *
 * Until its first key comes, with the activation of a guest, an ASID enciphers
 * nothing. From then on it always has one: the guest's outlives it until the
 * flush that frees the ASID, because its pages are given back in between; then
 * it is one that nobody knows, for a guest that still runs and pages that are
 * still its own, until the next activation. Only a reset leaves no key, when
 * no guest runs.
 *
 * Concurrency: what reads or transforms takes the RMP's lock, for a page's time
 * (a few us), snp_view_load_key() and snp_view_drop_keys() for that of all the
 * table. So no reader of these sees a page on its way. A CPU with a cached
 * translation does, and has its write enciphered, deciphered or neither. So
 * whoever changes owners or keys with encryption on sees to it that no other
 * CPU runs until it has flushed ([MEM-ALONE], in insn.c and amd_psp.c).
 *
 * With ciphertext hidden nobody is shown what DRAM would hold of a guest's
 * page, but ones. The firmware is (snp_view_read).
 *
 * Nothing here reaches QEMU but through the callbacks. spa is in bytes.
 */
#ifndef HW_SNP_VIEW_H
#define HW_SNP_VIEW_H

#include "hw/snp/cipher.h"
#include "hw/snp/rmp.h"

typedef struct SnpViewStats {
    uint64_t to_owner, to_raw;  /* pages transformed in place */
    uint64_t reads;             /* of outsiders, that got ciphertext */
} SnpViewStats;

typedef struct SnpView {
    Rmp *rmp;
    uint32_t hidden;        /* ASIDs 1 to this one: outsiders read ones */
    bool off;               /* nothing is enciphered; the RMP tells nobody */
    void *opaque;
    /*
     * The 4K page of RAM at @spa, or NULL if there is none; then it has no
     * content to transform. unmap: @written, its bytes changed. Both are
     * called with the RMP's lock held and must not come back here.
     */
    void *(*map)(void *opaque, uint64_t spa);
    void (*unmap)(void *opaque, void *page, bool written);
    SnpViewStats stats;     /* read without a lock: may be a little behind */
    SnpCipher *key[RMP_ASID_LIMIT + 1];
} SnpView;

/*
 * @v's rmp, map, unmap, opaque and off are set; unless off, from now on the RMP
 * tells the view of every page that changes hands.
 */
void snp_view_init(SnpView *v);
/* Drops all keys, and the RMP forgets the view. */
void snp_view_fini(SnpView *v);

/*
 * @asid, up to RMP_ASID_LIMIT, gets a key instead of the one that it had. What
 * DRAM would hold of its pages stays. False: the view is off, or there is no
 * such ASID; nothing happened.
 */
bool snp_view_load_key(SnpView *v, uint32_t asid,
                       const uint8_t key[CIPHER_KEY_LEN]);
/*
 * No ASID has a key from now on. Pages that had one show what DRAM would hold.
 * No guest may run. True if there was any key.
 */
bool snp_view_drop_keys(SnpView *v);

/*
 * For a machine that is saved, and one that is loaded, RAM and RMP with it: the
 * key as it is (false: none), and another one or none, with memory left alone.
 * No CPU runs.
 */
bool snp_view_key(const SnpView *v, uint32_t asid,
                  uint8_t key[CIPHER_KEY_LEN]);
void snp_view_set_key(SnpView *v, uint32_t asid, const uint8_t *key);

/* Do others than its owner see something else than RAM? */
bool snp_view_enciphered(const SnpView *v, uint64_t spa);

/* From the next look on; whoever has a translation cached is not told. */
void snp_view_hide(SnpView *v, uint32_t asids);
/* What a CPU or device gets that is an outsider; as snp_view_read(), or ones */
bool snp_view_look(SnpView *v, uint64_t spa, void *buf, size_t len);

/*
 * As outsiders see it, with nothing hidden: @len bytes at any @spa. False: not
 * all of it is memory; @buf then has what is.
 */
bool snp_view_read(SnpView *v, uint64_t spa, void *buf, size_t len);

/*
 * What the memory controller would do to @len bytes at @buf on their way to or
 * from @spa for this ASID; as they are if it has no key. Whole blocks of 16,
 * within a page.
 */
void snp_view_encrypt(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                      size_t len);
void snp_view_decrypt(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                      size_t len);

#endif
