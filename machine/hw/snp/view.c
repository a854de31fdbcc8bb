/*
 * Memory encryption: who sees what of a page
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>
#include "hw/snp/view.h"

#define PAGE_BLOCKS (RMP_PAGE_SIZE / CIPHER_BLOCK)

_Static_assert(CIPHER_UNIT == RMP_PAGE_SIZE, "a page is the cipher's unit");

static uint64_t offset(uint64_t spa)
{
    return spa & (RMP_PAGE_SIZE - 1);
}

static void count(uint64_t *n)
{
    __atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

/* RAM of a page, from what one owner sees to what another does; false: none */
static bool transform(SnpView *v, uint64_t spa, const SnpCipher *from,
                      const SnpCipher *to)
{
    void *page;

    if (from == to) {
        return true;
    }
    page = v->map(v->opaque, spa);
    if (!page) {
        return false;
    }
    if (from) {
        snp_cipher_encrypt(from, spa, 0, PAGE_BLOCKS, page);
        count(&v->stats.to_raw);
    }
    if (to) {
        snp_cipher_decrypt(to, spa, 0, PAGE_BLOCKS, page);
        count(&v->stats.to_owner);
    }
    v->unmap(v->opaque, page, true);
    return true;
}

static bool covered(const SnpView *v, uint64_t spa)
{
    return spa / RMP_PAGE_SIZE < v->rmp->npages;
}

static uint32_t claimant(const SnpView *v, uint64_t spa)
{
    return v->claimed && covered(v, spa)
           ? __atomic_load_n(&v->claimed[spa / RMP_PAGE_SIZE],
                             __ATOMIC_RELAXED) : 0;
}

static void set_claimant(SnpView *v, uint64_t spa, uint32_t asid)
{
    __atomic_store_n(&v->claimed[spa / RMP_PAGE_SIZE], asid, __ATOMIC_RELAXED);
}

/* With the lock. Nobody claims the page any more. */
static void release(SnpView *v, uint64_t spa)
{
    uint32_t by = claimant(v, spa);

    if (by) {
        transform(v, spa, v->key[by], NULL);
        set_claimant(v, spa, 0);
    }
}

/* Do pages belong to whom the RMP says? */
static bool in_force(const SnpView *v)
{
    return !v->in_force || __atomic_load_n(v->in_force, __ATOMIC_RELAXED);
}

static void rekey(void *opaque, uint64_t spa, uint32_t from, uint32_t to)
{
    SnpView *v = opaque;

    release(v, spa);
    if (in_force(v)) {
        transform(v, spa, v->key[from], v->key[to]);
    }
}

void snp_view_init(SnpView *v)
{
    memset(v->key, 0, sizeof(v->key));
    memset(&v->stats, 0, sizeof(v->stats));
    v->claimed = NULL;
    if (!v->off) {
        v->claimed = calloc(v->rmp->npages, sizeof(*v->claimed));
        if (!v->claimed) {
            abort();
        }
    }
    v->rmp->rekey = v->off ? NULL : rekey;
    v->rmp->rekey_opaque = v;
}

void snp_view_fini(SnpView *v)
{
    snp_view_drop_keys(v);
    v->rmp->rekey = NULL;
    free(v->claimed);
    v->claimed = NULL;
}

/* With the lock. The ASID that the RMP says owns the page, or 0 */
static uint32_t owner(const SnpView *v, uint64_t spa)
{
    RmpEntry e;

    if (!in_force(v)) {
        return 0;
    }
    rmp_get(v->rmp, spa, &e);
    return rmp_key(&e);
}

/* With the lock. The ASID whose plaintext RAM holds, or 0 */
static uint32_t holder(const SnpView *v, uint64_t spa)
{
    uint32_t asid = owner(v, spa);

    return asid ? asid : claimant(v, spa);
}

bool snp_view_load_key(SnpView *v, uint32_t asid,
                       const uint8_t key[CIPHER_KEY_LEN])
{
    SnpCipher *c, *old;

    if (v->off || !asid || asid > RMP_ASID_LIMIT) {
        return false;
    }
    c = snp_cipher_new(key);
    rmp_lock(v->rmp);
    old = v->key[asid];
    for (uint64_t pfn = 0; pfn < v->rmp->npages; pfn++) {
        uint64_t spa = pfn * RMP_PAGE_SIZE;

        if (v->claimed[pfn] == asid) {
            release(v, spa);
        } else if (owner(v, spa) == asid) {
            transform(v, spa, old, c);
        }
    }
    v->key[asid] = c;
    rmp_unlock(v->rmp);
    snp_cipher_free(old);
    return true;
}

bool snp_view_drop_keys(SnpView *v)
{
    bool any = false;

    rmp_lock(v->rmp);
    for (unsigned i = 0; i <= RMP_ASID_LIMIT; i++) {
        any |= !!v->key[i];
    }
    for (uint64_t pfn = 0; any && pfn < v->rmp->npages; pfn++) {
        uint64_t spa = pfn * RMP_PAGE_SIZE;

        release(v, spa);
        transform(v, spa, v->key[owner(v, spa)], NULL);
    }
    for (unsigned i = 0; any && i <= RMP_ASID_LIMIT; i++) {
        snp_cipher_free(v->key[i]);
        v->key[i] = NULL;
    }
    rmp_unlock(v->rmp);
    return any;
}

bool snp_view_disown(SnpView *v)
{
    bool any = false;

    rmp_lock(v->rmp);
    for (uint64_t pfn = 0; !v->off && pfn < v->rmp->npages; pfn++) {
        uint64_t spa = pfn * RMP_PAGE_SIZE;

        any |= transform(v, spa, v->key[owner(v, spa)], NULL);
    }
    rmp_unlock(v->rmp);
    return any;
}

bool snp_view_claim(SnpView *v, uint32_t asid, uint64_t spa)
{
    bool done = false;

    spa -= offset(spa);
    rmp_lock(v->rmp);
    if (v->claimed && covered(v, spa) && !owner(v, spa) &&
        (!asid || v->key[asid])) {
        uint32_t by = claimant(v, spa);

        done = by != asid && transform(v, spa, v->key[by], v->key[asid]);
        if (done) {
            set_claimant(v, spa, asid);
        }
    }
    rmp_unlock(v->rmp);
    return done;
}

bool snp_view_settle(SnpView *v)
{
    bool any = false;

    rmp_lock(v->rmp);
    for (uint64_t pfn = 0; v->claimed && pfn < v->rmp->npages; pfn++) {
        any |= !!v->claimed[pfn];
        release(v, pfn * RMP_PAGE_SIZE);
    }
    rmp_unlock(v->rmp);
    return any;
}

bool snp_view_key(const SnpView *v, uint32_t asid,
                  uint8_t key[CIPHER_KEY_LEN])
{
    if (!v->key[asid]) {
        return false;
    }
    snp_cipher_key(v->key[asid], key);
    return true;
}

void snp_view_set_key(SnpView *v, uint32_t asid, const uint8_t *key)
{
    SnpCipher *old = v->key[asid];

    v->key[asid] = key ? snp_cipher_new(key) : NULL;
    snp_cipher_free(old);
}

/* [MEM-HIDDEN] */
static bool hidden(const SnpView *v, uint32_t asid)
{
    return asid && asid <= __atomic_load_n(&v->hidden, __ATOMIC_RELAXED);
}

static const SnpCipher *key_of(const SnpView *v, uint32_t asid)
{
    return asid <= RMP_ASID_LIMIT
           ? __atomic_load_n(&v->key[asid], __ATOMIC_RELAXED) : NULL;
}

SnpSpace snp_view_space(const SnpView *v, uint64_t spa, uint32_t asid)
{
    uint32_t held;

    if (v->off && !__atomic_load_n(&v->hidden, __ATOMIC_RELAXED)) {
        return SNP_SPACE_RAM;
    }
    held = owner(v, spa);
    if (held != asid && hidden(v, held)) {
        return SNP_SPACE_OUTSIDE;
    }
    held = held ? held : claimant(v, spa);
    if (key_of(v, held) == key_of(v, asid)) {
        return SNP_SPACE_RAM;
    }
    if (!key_of(v, asid)) {
        return SNP_SPACE_OUTSIDE;
    }
    /* what is no memory has no key */
    return v->memory(v->opaque, spa) ? SNP_SPACE_KEYED : SNP_SPACE_RAM;
}

bool snp_view_enciphered(const SnpView *v, uint64_t spa)
{
    return snp_view_space(v, spa, 0) != SNP_SPACE_RAM;
}

void snp_view_hide(SnpView *v, uint32_t asids)
{
    __atomic_store_n(&v->hidden, asids, __ATOMIC_RELAXED);
}

/* Blocks, from what one key makes of them to what another does; NULL: none */
static void convert(const SnpCipher *from, const SnpCipher *to, uint64_t unit,
                    unsigned first, unsigned n, void *blocks)
{
    if (from != to && from) {
        snp_cipher_encrypt(from, unit, first, n, blocks);
    }
    if (from != to && to) {
        snp_cipher_decrypt(to, unit, first, n, blocks);
    }
}

/* Of a part of a page: the blocks it touches */
typedef struct Part {
    uint64_t unit;
    unsigned first, n;
    uint8_t b[RMP_PAGE_SIZE];
} Part;

static uint8_t *part_of(Part *part, const uint8_t *page, uint64_t spa,
                        size_t len)
{
    part->unit = spa - offset(spa);
    part->first = offset(spa) / CIPHER_BLOCK;
    part->n = (offset(spa) + len - 1) / CIPHER_BLOCK - part->first + 1;
    memcpy(part->b, page + part->first * CIPHER_BLOCK,
           part->n * CIPHER_BLOCK);
    return part->b + offset(spa) % CIPHER_BLOCK;
}

/* What is done to bytes within a page */
typedef bool Access(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                    size_t len);

/* @look: as those see it from whom it may be hidden */
static bool read_part(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                      size_t len, bool look)
{
    const SnpCipher *from, *to;
    uint8_t *page, *at;
    uint32_t own;
    Part part;

    rmp_lock(v->rmp);
    page = v->map(v->opaque, spa - offset(spa));
    if (page) {
        own = owner(v, spa);
        from = v->key[holder(v, spa)];
        to = key_of(v, asid);
        if (look && own != asid && hidden(v, own)) {
            memset(buf, 0xff, len);
        } else if (from == to) {
            memcpy(buf, page + offset(spa), len);
        } else {
            at = part_of(&part, page, spa, len);
            convert(from, to, part.unit, part.first, part.n, part.b);
            memcpy(buf, at, len);
            if (from) {
                count(&v->stats.reads);
            }
        }
        v->unmap(v->opaque, page, false);
    }
    rmp_unlock(v->rmp);
    return page;
}

static bool read_through(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                         size_t len)
{
    return read_part(v, asid, spa, buf, len, false);
}

static bool look_through(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                         size_t len)
{
    return read_part(v, asid, spa, buf, len, true);
}

static bool write_through(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                          size_t len)
{
    uint8_t *page = v->map(v->opaque, spa - offset(spa)), *at;
    const SnpCipher *own, *by;
    Part part;

    if (!page) {
        return false;
    }
    rmp_lock(v->rmp);
    own = v->key[holder(v, spa)];
    by = key_of(v, asid);
    if (own == by) {
        memcpy(page + offset(spa), buf, len);
    } else if (!owner(v, spa)) {
        at = part_of(&part, page, spa, len);
        convert(own, by, part.unit, part.first, part.n, part.b);
        memcpy(at, buf, len);
        convert(by, own, part.unit, part.first, part.n, part.b);
        memcpy(page + part.first * CIPHER_BLOCK, part.b,
               part.n * CIPHER_BLOCK);
    }
    rmp_unlock(v->rmp);
    /* without the lock: who holds what this waits for may wait for it */
    v->unmap(v->opaque, page, true);
    return true;
}

static bool page_by_page(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                         size_t len, Access *access)
{
    uint8_t *at = buf;

    while (len) {
        size_t n = RMP_PAGE_SIZE - offset(spa);

        n = n < len ? n : len;
        if (!access(v, asid, spa, at, n)) {
            return false;
        }
        spa += n;
        at += n;
        len -= n;
    }
    return true;
}

bool snp_view_read(SnpView *v, uint64_t spa, void *buf, size_t len)
{
    return page_by_page(v, 0, spa, buf, len, read_through);
}

bool snp_view_look(SnpView *v, uint64_t spa, void *buf, size_t len)
{
    return page_by_page(v, 0, spa, buf, len, look_through);
}

bool snp_view_read_as(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                      size_t len)
{
    return page_by_page(v, asid, spa, buf, len, look_through);
}

bool snp_view_write_as(SnpView *v, uint32_t asid, uint64_t spa,
                       const void *buf, size_t len)
{
    return page_by_page(v, asid, spa, (void *)buf, len, write_through);
}

static void crypt_blocks(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                         size_t len, bool encrypt)
{
    SnpCipher *c;

    rmp_lock(v->rmp);
    c = asid <= RMP_ASID_LIMIT ? v->key[asid] : NULL;
    if (c) {
        (encrypt ? snp_cipher_encrypt : snp_cipher_decrypt)(
            c, spa - offset(spa), offset(spa) / CIPHER_BLOCK,
            len / CIPHER_BLOCK, buf);
    }
    rmp_unlock(v->rmp);
}

void snp_view_encrypt(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                      size_t len)
{
    crypt_blocks(v, asid, spa, buf, len, true);
}

void snp_view_decrypt(SnpView *v, uint32_t asid, uint64_t spa, void *buf,
                      size_t len)
{
    crypt_blocks(v, asid, spa, buf, len, false);
}
