/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sealed data frames with libcrypto's AES-128-GCM: see seal.h. */
#include <config.h>
#include "migrated/io/seal.h"
#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

static void nonce_of(uint32_t stream, uint64_t seq, uint8_t nonce[12])
{
	uint32_t s = htole32(stream);
	uint64_t q = htole64(seq);

	memcpy(nonce, &s, 4);
	memcpy(nonce + 4, &q, 8);
}

int seal_init(struct seal *s, const uint8_t key[WIRE_KEY_BYTES], int encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (!ctx)
		return -ENOMEM;
	if (EVP_CipherInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, NULL, encrypt) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		return -EIO;
	}
	s->ctx = ctx;
	return 0;
}

void seal_done(struct seal *s)
{
	EVP_CIPHER_CTX_free(s->ctx);
	s->ctx = NULL;
}

int seal_make(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len, const void *in,
              size_t len, uint8_t *out)
{
	uint8_t nonce[12];
	int n, total = 0;

	nonce_of(stream, seq, nonce);
	if (EVP_EncryptInit_ex(s->ctx, NULL, NULL, NULL, nonce) != 1 ||
	    EVP_EncryptUpdate(s->ctx, NULL, &n, aad, (int)aad_len) != 1)
		return -EIO;
	if (len && EVP_EncryptUpdate(s->ctx, out, &total, in, (int)len) != 1)
		return -EIO;
	if (EVP_EncryptFinal_ex(s->ctx, out + total, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_GCM_GET_TAG, WIRE_TAG_BYTES, out + len) != 1)
		return -EIO;
	return 0;
}

int seal_open(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len, const uint8_t *in,
              size_t len, uint8_t *out)
{
	uint8_t nonce[12], tag[WIRE_TAG_BYTES];
	int n, total = 0;

	if (len < WIRE_TAG_BYTES)
		return -EBADMSG;
	len -= WIRE_TAG_BYTES;
	memcpy(tag, in + len, sizeof(tag));
	nonce_of(stream, seq, nonce);
	if (EVP_DecryptInit_ex(s->ctx, NULL, NULL, NULL, nonce) != 1 ||
	    EVP_DecryptUpdate(s->ctx, NULL, &n, aad, (int)aad_len) != 1)
		return -EIO;
	if (len && EVP_DecryptUpdate(s->ctx, out, &total, in, (int)len) != 1)
		return -EIO;
	if (EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_GCM_SET_TAG, WIRE_TAG_BYTES, tag) != 1)
		return -EIO;
	return EVP_DecryptFinal_ex(s->ctx, out + total, &n) == 1 ? 0 : -EBADMSG;
}
