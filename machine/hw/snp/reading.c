/*
 * Readings: what the machine does where the sources are silent
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include "hw/snp/reading.h"

static const struct { const char *id, *text; } readings[SNP_NREADINGS] = {
#define X(name, id, text) [SNP_READING_##name] = { id, text },
    SNP_READINGS(X)
#undef X
};

const char *snp_reading_id(SnpReading r)
{
    return (unsigned)r < SNP_NREADINGS ? readings[r].id : NULL;
}

const char *snp_reading_text(SnpReading r)
{
    return (unsigned)r < SNP_NREADINGS ? readings[r].text : NULL;
}

static SnpReading find(const char *id, size_t len)
{
    for (unsigned i = SNP_READING_NONE + 1; i < SNP_NREADINGS; i++) {
        if (strlen(readings[i].id) == len &&
            !memcmp(readings[i].id, id, len)) {
            return i;
        }
    }
    return SNP_READING_NONE;
}

const char *snp_readings_parse(const char *text, SnpReadings *set,
                               size_t *len)
{
    SnpReadings s = 0;

    if (!text || !strcmp(text, "none")) {
        *set = 0;
        return NULL;
    }
    if (!strcmp(text, "all")) {
        *set = SNP_READINGS_ALL;
        return NULL;
    }
    for (;;) {
        SnpReading r;

        *len = strcspn(text, ":");
        r = find(text, *len);
        if (r == SNP_READING_NONE) {
            return text;
        }
        s |= (SnpReadings)1 << r;
        if (!text[*len]) {
            *set = s;
            return NULL;
        }
        text += *len + 1;
    }
}
