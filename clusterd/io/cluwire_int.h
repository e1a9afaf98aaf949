/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands' part of cluwire.c, in cluwire_cmd.c. */
#ifndef HOSPES_CLUSTERD_IO_CLUWIRE_INT_H
#define HOSPES_CLUSTERD_IO_CLUWIRE_INT_H

#include "clusterd/io/cluwire.h"

/* As cluwire_pack(); @env is empty. */
int cluwire_pack_cmd(Hospes__Clu__Envelope *env, const struct clu_cmd *c, const char *cluster, uint32_t node, const char *xml,
                     size_t xml_len, struct buf *out) _must_check_;
/* Read @w->env, which is a command, into @w->msg, @w->inventory and @w->xml. -EPROTO, -ENOMEM. */
int cluwire_unpack_cmd(struct cluwire *w, struct err *err) _must_check_;

#endif
