/*
 * Secure processor firmware: the end of a launch
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An ID block says what a guest's owner expects to have been launched; it is
 * signed with the ID key, and that one, if the owner wishes, with an author
 * key. Digests of the keys go into reports.
 */
#include "fw_msg.h"

#define FINISH_ID_BLOCK   (1u << 0)
#define FINISH_AUTHOR_KEY (1u << 1)
#define FINISH_NO_VCEK    (1u << 2)

/* May this guest be the one that the block speaks of? */
static uint32_t check_id_block(const SnpFwGuest *g, const FwIdBlock *b,
                               const FwIdAuth *a, bool author)
{
    P384Point id_key, author_key;
    P384Sig sig;

    /* [FW-ID-FORMAT] */
    if (fw_get(b->version, 4) != 1 ||
        fw_get(a->id_key_algo, 4) != FW_SIG_P384 ||
        (author && fw_get(a->author_key_algo, 4) != FW_SIG_P384) ||
        !fw_all_zero(a->rsvd_8, sizeof(a->rsvd_8)) ||
        !fw_all_zero(a->rsvd_644, sizeof(a->rsvd_644)) ||
        !fw_all_zero(a->rsvd_c84, sizeof(a->rsvd_c84)) ||
        !fw_get_point(&a->id_key, &id_key) ||
        (author && !fw_get_point(&a->author_key, &author_key))) {
        return FW_INVALID_PARAM;
    }
    /* [FW-ID-SIGNATURE] */
    if (!fw_get_sig(&a->block_sig, &sig) ||
        !p384_verify(&id_key, b, sizeof(*b), &sig)) {
        return FW_BAD_SIGNATURE;
    }
    /* [FW-ID-AUTHOR] */
    if (author && (!fw_get_sig(&a->id_key_sig, &sig) ||
                   !p384_verify(&author_key, &a->id_key, sizeof(a->id_key),
                                &sig))) {
        return FW_BAD_SIGNATURE;
    }
    /* [FW-ID-MEASUREMENT] */
    if (memcmp(b->ld, g->ld, sizeof(b->ld))) {
        return FW_BAD_MEASUREMENT;
    }
    /* [FW-ID-POLICY] */
    if (fw_get(b->policy, 8) != g->policy) {
        return FW_POLICY_FAILURE;
    }
    return FW_SUCCESS;
}

uint32_t fw_snp_launch_finish(SnpFw *fw, FwBuf *c)
{
    uint64_t block_at = fw_get_addr(c->b + 8);
    uint64_t auth_at = fw_get_addr(c->b + 0x10);
    uint8_t flags = c->b[0x18];
    FwIdBlock block;
    FwIdAuth auth;
    SnpFwGuest *g = c->g;
    uint32_t status;

    /* [FW-FINISH-RSVD] an author key signs the ID block's key */
    if ((flags & ~7u) || !fw_all_zero(c->b + 0x19, 7) ||
        (flags & (FINISH_ID_BLOCK | FINISH_AUTHOR_KEY)) ==
        FINISH_AUTHOR_KEY) {
        return FW_INVALID_PARAM;
    }
    if (flags & FINISH_ID_BLOCK) {
        /* [FW-ID-ADDRESS] Linux gives them wherever its allocator had room */
        if (!fw_read(fw, block_at, &block, sizeof(block)) ||
            !fw_read(fw, auth_at, &auth, sizeof(auth))) {
            return FW_INVALID_ADDRESS;
        }
        status = check_id_block(g, &block, &auth, flags & FINISH_AUTHOR_KEY);
        if (status) {
            return status;
        }
        memcpy(g->family_id, block.family_id, sizeof(g->family_id));
        memcpy(g->image_id, block.image_id, sizeof(g->image_id));
        g->guest_svn = fw_get(block.guest_svn, 4);
        /* [FW-ID-DIGESTS] */
        sha384(&auth.id_key, sizeof(auth.id_key), g->id_key_digest);
        if (flags & FINISH_AUTHOR_KEY) {
            g->author_key = true;
            sha384(&auth.author_key, sizeof(auth.author_key),
                   g->author_key_digest);
        }
    }
    g->state = SNP_GUEST_RUNNING;
    g->vcek_disabled = flags & FINISH_NO_VCEK;
    memcpy(g->host_data, c->b + 0x20, sizeof(g->host_data));
    memcpy(fw->launched[fw->nlaunched++ % FW_LAUNCHES], g->ld, sizeof(g->ld));
    return FW_SUCCESS;
}
