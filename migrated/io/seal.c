/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sealed data frames with libgcrypt's AES-128-OCB: see seal.h. */
#include "config.h"
#include "migrated/io/seal.h"
#include <endian.h>
#include <errno.h>
#include <gcrypt.h>
#include <pthread.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool usable;

static void library(void)
{
	usable = gcry_check_version(GCRYPT_VERSION) && gcry_control(GCRYCTL_DISABLE_SECMEM, 0) == 0 &&
	         gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0) == 0;
}

int seal_init(struct seal *s, const uint8_t key[WIRE_KEY_BYTES])
{
	gcry_cipher_hd_t h;

	pthread_once(&once, library);
	s->ctx = NULL;
	if (!usable)
		return -EIO;
	gcry_error_t e = gcry_cipher_open(&h, GCRY_CIPHER_AES128, GCRY_CIPHER_MODE_OCB, 0);
	if (e)
		return gcry_err_code(e) == GPG_ERR_ENOMEM ? -ENOMEM : -EIO;
	if (gcry_cipher_setkey(h, key, WIRE_KEY_BYTES)) {
		gcry_cipher_close(h);
		return -EIO;
	}
	s->ctx = h;
	return 0;
}

void seal_done(struct seal *s)
{
	gcry_cipher_close(s->ctx);
	s->ctx = NULL;
}

static int begin(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len)
{
	uint8_t nonce[12];
	uint32_t n = htole32(stream);
	uint64_t q = htole64(seq);

	memcpy(nonce, &n, 4);
	memcpy(nonce + 4, &q, 8);
	return gcry_cipher_setiv(s->ctx, nonce, sizeof(nonce)) || gcry_cipher_authenticate(s->ctx, aad, aad_len) ? -EIO
	                                                                                                         : 0;
}

int seal_make(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len, const void *in,
              size_t len, uint8_t *out)
{
	int r = begin(s, stream, seq, aad, aad_len);

	return r < 0 || gcry_cipher_final(s->ctx) || gcry_cipher_encrypt(s->ctx, out, len, in, len) ||
	                       gcry_cipher_gettag(s->ctx, out + len, WIRE_TAG_BYTES)
	               ? -EIO
	               : 0;
}

int seal_open_begin(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len)
{
	return begin(s, stream, seq, aad, aad_len);
}

int seal_open_part(struct seal *s, const uint8_t *in, size_t len, uint8_t *out)
{
	return gcry_cipher_decrypt(s->ctx, out, len, in, len) ? -EIO : 0;
}

int seal_open_end(struct seal *s, const uint8_t tag[WIRE_TAG_BYTES])
{
	uint8_t none[16];

	/* the tag is made by the call that follows "final", be it an empty one */
	if (gcry_cipher_final(s->ctx) || gcry_cipher_decrypt(s->ctx, none, 0, none, 0))
		return -EIO;
	return gcry_cipher_checktag(s->ctx, tag, WIRE_TAG_BYTES) ? -EBADMSG : 0;
}

int seal_open(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len, const uint8_t *in,
              size_t len, uint8_t *out)
{
	if (len < WIRE_TAG_BYTES)
		return -EBADMSG;
	len -= WIRE_TAG_BYTES;
	int r = begin(s, stream, seq, aad, aad_len);
	if (r == 0 && (gcry_cipher_final(s->ctx) || gcry_cipher_decrypt(s->ctx, out, len, in, len)))
		r = -EIO;
	return r < 0 ? r : gcry_cipher_checktag(s->ctx, in + len, WIRE_TAG_BYTES) ? -EBADMSG : 0;
}
