/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sealed data frames with libcrypto's AES-128-OCB: see seal.h. */
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
	if (EVP_CipherInit_ex(ctx, EVP_aes_128_ocb(), NULL, key, NULL, encrypt) != 1) {
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
	    EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_GET_TAG, WIRE_TAG_BYTES, out + len) != 1)
		return -EIO;
	return 0;
}

int seal_open_begin(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len)
{
	uint8_t nonce[12];
	int n;

	nonce_of(stream, seq, nonce);
	return EVP_DecryptInit_ex(s->ctx, NULL, NULL, NULL, nonce) == 1 &&
	                       EVP_DecryptUpdate(s->ctx, NULL, &n, aad, (int)aad_len) == 1
	               ? 0
	               : -EIO;
}

int seal_open_part(struct seal *s, const uint8_t *in, size_t len, uint8_t *out)
{
	int n;

	return EVP_DecryptUpdate(s->ctx, out, &n, in, (int)len) == 1 && (size_t)n == len ? 0 : -EIO;
}

/* @rest receives what the cipher held back: the octets after the last whole block. */
static int open_end(struct seal *s, const uint8_t tag[WIRE_TAG_BYTES], uint8_t *rest)
{
	uint8_t copy[WIRE_TAG_BYTES];
	int n;

	memcpy(copy, tag, sizeof(copy));
	if (EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_SET_TAG, WIRE_TAG_BYTES, copy) != 1)
		return -EIO;
	return EVP_DecryptFinal_ex(s->ctx, rest, &n) == 1 ? 0 : -EBADMSG;
}

int seal_open_end(struct seal *s, const uint8_t tag[WIRE_TAG_BYTES])
{
	uint8_t none[16];

	return open_end(s, tag, none);
}

int seal_open(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len, const uint8_t *in,
              size_t len, uint8_t *out)
{
	int n = 0;

	if (len < WIRE_TAG_BYTES)
		return -EBADMSG;
	len -= WIRE_TAG_BYTES;
	int r = seal_open_begin(s, stream, seq, aad, aad_len);
	if (r == 0 && len && EVP_DecryptUpdate(s->ctx, out, &n, in, (int)len) != 1)
		r = -EIO;
	return r < 0 ? r : open_end(s, in + len, out + n);
}
