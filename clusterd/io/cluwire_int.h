/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between cluwire.c and cluwire_cmd.c: commands. */
#ifndef HOSPES_CLUSTERD_IO_CLUWIRE_INT_H
#define HOSPES_CLUSTERD_IO_CLUWIRE_INT_H

#include "clusterd/io/cluwire.h"

int cluwire_pack_cmd(Hospes__Clu__Envelope *env, const struct clu_cmd *c, const char *cluster, uint32_t node, const char *xml,
                     size_t xml_len, struct buf *out) _must_check_;
/* From @w->env into @w->msg, @w->inventory, @w->xml. */
int cluwire_unpack_cmd(struct cluwire *w, struct err *err) _must_check_;

#endif
