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
 *   page                          RAM holds              outsiders see
 *   Guest-invalid, -valid,        plaintext of the       RAM, enciphered with
 *   Pre-swap                      entry's ASID           that ASID's key
 *   all others, claimed by        plaintext of that      RAM, enciphered with
 *   an ASID                       ASID                   that ASID's key
 *   all others                    what DRAM would hold   the same
 *
 * A page that changes hands is transformed in place: what DRAM would hold
 * stays as it is, and RAM shows it as the new owner sees it. So content put
 * into a page before it is given away is rubbish to its new owner, and what a
 * guest leaves behind is ciphertext to the host, for good.
 *
 * Of an SNP guest the RMP says who owns a page. Of guests without SNP nobody
 * does: a page is read and written with a key or without, access by access. So
 * it is claimed: by an ASID that accesses it with its key, and back by whoever
 * writes to it without. That makes it fast to whom it is claimed by, and
 * nothing else: whoever has not claimed a page gets there through its key and
 * his own (snp_view_read_as()). No claim survives its key.
 *
 * Until its first key comes, with the activation of a guest, an ASID enciphers
 * nothing. From then on it always has one: the guest's outlives it until the
 * flush that frees the ASID, because its pages are given back in between; then
 * it is one that nobody knows, for a guest that still runs and pages that are
 * still its own, until the next activation. Only a reset leaves no key, when
 * no guest runs.
 *
 * Concurrency: what reads or transforms takes the RMP's lock, for a page's time
 * (a few us), snp_view_load_key(), snp_view_settle() and snp_view_drop_keys()
 * for that of all the table. So no reader of these sees a page on its way. A
 * CPU with a cached translation does, and has its write enciphered, deciphered
 * or neither. So whoever changes owners, claims or keys with encryption on sees
 * to it that no other CPU runs until it has flushed ([MEM-ALONE], in insn.c,
 * outside.c and amd_psp.c). Who writes through two keys reads, changes and
 * writes whole blocks: of a store of others to the same block meanwhile, one is
 * lost.
 *
 * With ciphertext hidden nobody is shown what DRAM would hold of an SNP guest's
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
    /*
     * Is the RMP in force? While it is not, it says of no page whose it is:
     * DRAM is ciphertext then as before. NULL: it always is.
     */
    const bool *in_force;
    void *opaque;
    /*
     * The 4K page of RAM at @spa, or NULL if there is none; then it has no
     * content to transform. unmap: @written, its bytes changed. Both are
     * called with the RMP's lock held and must not come back here.
     */
    void *(*map)(void *opaque, uint64_t spa);
    void (*unmap)(void *opaque, void *page, bool written);
    /* Is there memory at @spa, which may hold what is enciphered? */
    bool (*memory)(void *opaque, uint64_t spa);
    SnpViewStats stats;     /* read without a lock: may be a little behind */
    /* Of each page below rmp->npages: who has claimed it, or 0; NULL if off */
    uint16_t *claimed;
    SnpCipher *key[RMP_ASID_LIMIT + 1];
} SnpView;

/*
 * @v's rmp, map, unmap, memory, opaque and off are set; unless off, from now on
 * the RMP tells the view of every page that changes hands.
 */
void snp_view_init(SnpView *v);
/* Drops all keys and claims, and the RMP forgets the view. */
void snp_view_fini(SnpView *v);

/*
 * @asid, up to RMP_ASID_LIMIT, gets a key instead of the one that it had; it
 * may be the same. What DRAM would hold of its pages stays; it claims none any
 * more. False: the view is off, or there is no such ASID; nothing happened.
 */
bool snp_view_load_key(SnpView *v, uint32_t asid,
                       const uint8_t key[CIPHER_KEY_LEN]);
/*
 * No ASID has a key from now on. Pages that had one show what DRAM would hold.
 * No guest may run. True if there was any key.
 */
bool snp_view_drop_keys(SnpView *v);

/*
 * All pages that an ASID owns by the RMP show what DRAM would hold: the caller
 * clears *in_force next, before anybody looks. Keys stay, and what is claimed.
 * The caller is alone, and flushes everything before others run. True if any
 * page changed.
 */
bool snp_view_disown(SnpView *v);

/*
 * For a machine that is saved, and one that is loaded, RAM and RMP with it: the
 * key as it is (false: none), and another one or none, with memory left alone.
 * No CPU runs.
 */
bool snp_view_key(const SnpView *v, uint32_t asid,
                  uint8_t key[CIPHER_KEY_LEN]);
void snp_view_set_key(SnpView *v, uint32_t asid, const uint8_t *key);

/* How the accesses of somebody get to a page */
typedef enum SnpSpace {
    SNP_SPACE_RAM,          /* RAM is what they see */
    SNP_SPACE_OUTSIDE,      /* without a key: snp_view_look() and _write_as() */
    SNP_SPACE_KEYED,        /* with their own key: _read_as() and _write_as() */
} SnpSpace;

/*
 * Accesses that are made with the key of @asid, 0: with none. May change from
 * one moment to the next unless no CPU runs.
 */
SnpSpace snp_view_space(const SnpView *v, uint64_t spa, uint32_t asid);

/* Do others than its owner see something else than RAM? */
bool snp_view_enciphered(const SnpView *v, uint64_t spa);

/*
 * From now on @asid, which has a key, or (0) who has none finds in RAM what it
 * sees of the page. What anybody sees of it stays. The caller is alone, and
 * flushes what is cached of the page before others run. False: nothing changed,
 * since that is so, the page is an SNP guest's, no memory or not covered by the
 * RMP, or the ASID has no key.
 */
bool snp_view_claim(SnpView *v, uint32_t asid, uint64_t spa);
/*
 * Nobody claims a page any more. The caller is alone, and flushes everything
 * before others run. True if somebody did.
 */
bool snp_view_settle(SnpView *v);

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
 * The same as who reads with the key of @asid sees it, and gets ones where it
 * is hidden from him; and what he writes. A page of an SNP guest is written to
 * by its owner only. False: not all of it is memory; what is was written.
 */
bool snp_view_read_as(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                      size_t len);
bool snp_view_write_as(SnpView *v, uint32_t asid, uint64_t spa,
                       const void *buf, size_t len);

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
