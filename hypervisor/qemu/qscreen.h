/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's screen by QEMU's monitor: passwords, clients, pictures. Main thread. */
#ifndef HOSPES_QEMU_QSCREEN_H
#define HOSPES_QEMU_QSCREEN_H

#include "hypervisor/qemu/qdisplay.h"
#include "hypervisor/qemu/qvm_int.h"

/* Tell a fresh QEMU the password. */
int qscreen_set_up(struct qvm *v, struct err *err) _must_check_;
/* As the engine's ops screen_client and screenshot, for a guest that is there. */
int qscreen_client(struct qvm *v, int fd, struct err *err) _must_check_;
int qscreen_shot(struct qvm *v, unsigned screen, struct err *err) _must_check_;

#endif
