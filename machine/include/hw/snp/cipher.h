/*
 * Memory encryption: the cipher
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AES-128 in XTS mode (IEEE 1619). The data unit is a 4K page of system
 * memory, its number is the page's address: what a block of 16 bytes becomes
 * depends on the key, on where it lies, and on it. AMD publishes that the mode
 * is one tweaked by the physical address, and no more: only the bytes would
 * tell the difference, and no software knows the key.
 *
 * Includes nothing of QEMU: the same code is in the unit tests. The AES is
 * nettle's, which uses the processor's instructions where it has them.
 */
#ifndef HW_SNP_CIPHER_H
#define HW_SNP_CIPHER_H

#include <stddef.h>
#include <stdint.h>

#define CIPHER_BLOCK     16u
#define CIPHER_KEY_LEN   32u        /* of the data, then of the tweak */
#define CIPHER_UNIT      4096u

/* A key, made ready; read only from then on, by any number of threads */
typedef struct SnpCipher SnpCipher;

SnpCipher *snp_cipher_new(const uint8_t key[CIPHER_KEY_LEN]);
/* What it was made of */
void snp_cipher_key(const SnpCipher *c, uint8_t key[CIPHER_KEY_LEN]);
/* Nothing of the key is left in memory. NULL is allowed. */
void snp_cipher_free(SnpCipher *c);

/*
 * @n whole blocks at @buf, in place: those from block @first on of the unit
 * that begins at @unit, in bytes. first + n is at most 256.
 */
void snp_cipher_encrypt(const SnpCipher *c, uint64_t unit, unsigned first,
                        unsigned n, void *buf);
void snp_cipher_decrypt(const SnpCipher *c, uint64_t unit, unsigned first,
                        unsigned n, void *buf);

/*
 * AES-128 in counter mode, for packets: in place, @len bytes; the same again
 * undoes it.
 */
void aes128_ctr(const uint8_t key[16], const uint8_t iv[16], void *buf,
                size_t len);

#endif
