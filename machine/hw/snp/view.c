/*
 * Memory encryption: who sees what of a page
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
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

/* RAM of a page, from what one owner sees to what another does */
static void transform(SnpView *v, uint64_t spa, const SnpCipher *from,
                      const SnpCipher *to)
{
    void *page;

    if (from == to) {
        return;
    }
    page = v->map(v->opaque, spa);
    if (!page) {
        return;
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
}

static void rekey(void *opaque, uint64_t spa, uint32_t from, uint32_t to)
{
    SnpView *v = opaque;

    transform(v, spa, v->key[from], v->key[to]);
}

void snp_view_init(SnpView *v)
{
    memset(v->key, 0, sizeof(v->key));
    memset(&v->stats, 0, sizeof(v->stats));
    v->rmp->rekey = v->off ? NULL : rekey;
    v->rmp->rekey_opaque = v;
}

void snp_view_fini(SnpView *v)
{
    snp_view_drop_keys(v);
    v->rmp->rekey = NULL;
}

/* With the lock. The ASID under whose key the page's content is, or 0 */
static uint32_t owner(const SnpView *v, uint64_t spa)
{
    RmpEntry e;

    rmp_get(v->rmp, spa, &e);
    return rmp_key(&e);
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
        if (owner(v, pfn * RMP_PAGE_SIZE) == asid) {
            transform(v, pfn * RMP_PAGE_SIZE, old, c);
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
        uint32_t asid = owner(v, pfn * RMP_PAGE_SIZE);

        transform(v, pfn * RMP_PAGE_SIZE, v->key[asid], NULL);
    }
    for (unsigned i = 0; any && i <= RMP_ASID_LIMIT; i++) {
        snp_cipher_free(v->key[i]);
        v->key[i] = NULL;
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

bool snp_view_enciphered(const SnpView *v, uint64_t spa)
{
    uint32_t asid = owner(v, spa);

    return hidden(v, asid) || __atomic_load_n(&v->key[asid], __ATOMIC_RELAXED);
}

void snp_view_hide(SnpView *v, uint32_t asids)
{
    __atomic_store_n(&v->hidden, asids, __ATOMIC_RELAXED);
}

/* Within a page; @look: as those see it from whom it may be hidden */
static bool read_part(SnpView *v, uint64_t spa, uint8_t *buf, size_t len,
                      bool look)
{
    uint64_t page_at = spa - offset(spa);
    const SnpCipher *c;
    uint32_t asid;
    uint8_t *page;

    rmp_lock(v->rmp);
    page = v->map(v->opaque, page_at);
    if (page) {
        asid = owner(v, spa);
        c = v->key[asid];
        if (look && hidden(v, asid)) {
            memset(buf, 0xff, len);
        } else if (c) {
            unsigned first = offset(spa) / CIPHER_BLOCK;
            unsigned n = (offset(spa) + len - 1) / CIPHER_BLOCK - first + 1;
            uint8_t blocks[RMP_PAGE_SIZE];

            memcpy(blocks, page + first * CIPHER_BLOCK, n * CIPHER_BLOCK);
            snp_cipher_encrypt(c, page_at, first, n, blocks);
            memcpy(buf, blocks + offset(spa) % CIPHER_BLOCK, len);
            count(&v->stats.reads);
        } else {
            memcpy(buf, page + offset(spa), len);
        }
        v->unmap(v->opaque, page, false);
    }
    rmp_unlock(v->rmp);
    return page;
}

static bool read_all(SnpView *v, uint64_t spa, void *buf, size_t len,
                     bool look)
{
    uint8_t *to = buf;

    while (len) {
        size_t n = RMP_PAGE_SIZE - offset(spa);

        n = n < len ? n : len;
        if (!read_part(v, spa, to, n, look)) {
            return false;
        }
        spa += n;
        to += n;
        len -= n;
    }
    return true;
}

bool snp_view_read(SnpView *v, uint64_t spa, void *buf, size_t len)
{
    return read_all(v, spa, buf, len, false);
}

bool snp_view_look(SnpView *v, uint64_t spa, void *buf, size_t len)
{
    return read_all(v, spa, buf, len, true);
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
