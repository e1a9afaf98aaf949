/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Invitations: the token that a person carries to the new host, and what the inviter remembers of it,
 * `<run>/invitations/ID.json` (0600). The directory is this boot's: so no invitation outlives its host.
 * docs/wire/member.md has the octets.
 */
#ifndef HOSPES_TOOLS_MEMBER_TOKEN_H
#define HOSPES_TOOLS_MEMBER_TOKEN_H

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"
#include "common/cleanup.h"

#define TOKEN_SECRET   16u
#define TOKEN_TEXT_MAX 96u                      /* with the NUL */
#define TOKEN_KEY_TEXT 41u                      /* a CURVE key in Z85, with the NUL */
#define INVITE_NS      (3600ull * 1000000000ull)
#define INVITES_MAX    32u                      /* that are open at one time */

struct token {
	uint8_t key[32];              /* the inviter's public key */
	uint8_t secret[TOKEN_SECRET];
	uint32_t expires_s;           /* CLOCK_REALTIME, for messages only: the inviter's own clock decides */
	uint16_t port;                /* where it answers */
};

void token_print(const struct token *t, char to[TOKEN_TEXT_MAX]);
/* -EINVAL with the text: not a token, cut short, mistyped, of another version. */
int token_parse(const char *text, struct token *ret, struct err *err) _must_check_;

/* Open an invitation, and remember it. @name: only for the host of that name; NULL: for any. */
int invite_make(const uint8_t key[32], uint16_t port, const char *name, struct token *ret,
                struct err *err) _must_check_;
/*
 * May the host @name, which has @key (Z85), use the invitation with @secret? From then on it is that key's: who has it
 * may come back with it, as often as it takes, and nobody else. -EACCES: no such invitation; -ETIME: it has expired;
 * -EBUSY: another host used it.
 */
int invite_use(const uint8_t secret[TOKEN_SECRET], const char *key, const char *name, struct err *err) _must_check_;
bool invite_any(void); /* is any open? Removes those that have expired */

#endif
