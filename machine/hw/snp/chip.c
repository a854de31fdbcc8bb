/*
 * What is fused into the chip: its identity, its secret, its VCEKs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/snp/chip.h"

#define VCEK_PREFIX "vcek-"
#define VCEK_SUFFIX ".pem"
#define TCB_DIGITS  16

static bool read_exactly(const char *dir, const char *name, void *out,
                         size_t len, Error **errp)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *data = NULL;
    g_autoptr(GError) err = NULL;
    gsize got;

    if (!g_file_get_contents(path, &data, &got, &err)) {
        error_setg(errp, "amd-psp: chip: %s", err->message);
        return false;
    }
    if (got != len) {
        error_setg(errp, "amd-psp: chip: %s has %zu bytes, not %zu", path,
                   (size_t)got, len);
        return false;
    }
    memcpy(out, data, len);
    return true;
}

/* "vcek-4815000000000007.pem"? */
static bool vcek_name(const char *name, uint64_t *tcb)
{
    const char *digits = name + strlen(VCEK_PREFIX);

    if (!g_str_has_prefix(name, VCEK_PREFIX) ||
        strlen(digits) != TCB_DIGITS + strlen(VCEK_SUFFIX) ||
        strcmp(digits + TCB_DIGITS, VCEK_SUFFIX) ||
        strspn(digits, "0123456789abcdef") != TCB_DIGITS) {
        return false;
    }
    *tcb = g_ascii_strtoull(digits, NULL, 16);
    return true;
}

static bool read_vcek(const char *dir, const char *name, uint64_t tcb,
                      SnpFwConfig *cfg, Error **errp)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *data = NULL;
    g_autoptr(GError) err = NULL;
    SnpFwVcek *v = &cfg->vcek[cfg->nvceks];
    gsize len;

    if (cfg->nvceks == FW_MAX_VCEKS) {
        error_setg(errp, "amd-psp: chip: %s has more than %u VCEKs", dir,
                   FW_MAX_VCEKS);
        return false;
    }
    if (!g_file_get_contents(path, &data, &len, &err)) {
        error_setg(errp, "amd-psp: chip: %s", err->message);
        return false;
    }
    v->tcb = tcb;
    v->key = p384_load(data, len);
    if (!v->key) {
        error_setg(errp, "amd-psp: chip: %s is not a private key of P-384",
                   path);
        return false;
    }
    cfg->nvceks++;
    return true;
}

bool snp_chip_load(const char *dir, SnpFwConfig *cfg, Error **errp)
{
    g_autoptr(GError) err = NULL;
    g_autoptr(GDir) d = g_dir_open(dir, 0, &err);
    SnpFwConfig new = *cfg;
    const char *name;
    uint64_t tcb;

    if (!d) {
        error_setg(errp, "amd-psp: chip: %s", err->message);
        return false;
    }
    if (!read_exactly(dir, "chip-id", new.chip_id, sizeof(new.chip_id),
                      errp) ||
        !read_exactly(dir, "secret", new.chip_secret,
                      sizeof(new.chip_secret), errp) ||
        !read_exactly(dir, "firmware-key", &new.firmware_key,
                      sizeof(new.firmware_key), errp)) {
        return false;
    }
    while ((name = g_dir_read_name(d))) {
        if (vcek_name(name, &tcb) &&
            !read_vcek(dir, name, tcb, &new, errp)) {
            snp_chip_free(&new);
            return false;
        }
    }
    if (!new.nvceks) {
        error_setg(errp, "amd-psp: chip: %s has no " VCEK_PREFIX "TCB"
                   VCEK_SUFFIX, dir);
        return false;
    }
    *cfg = new;
    return true;
}

void snp_chip_free(SnpFwConfig *cfg)
{
    while (cfg->nvceks) {
        p384_free(cfg->vcek[--cfg->nvceks].key);
    }
}
