/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configuration files are JSON with two liberties: comments from // to the end of the line, and a comma after the last member.
 * So a setting is put in and taken out by two strokes.
 */
#ifndef HOSPES_COMMON_JSONPLAIN_H
#define HOSPES_COMMON_JSONPLAIN_H

#include <stddef.h>

/* Turn @text into JSON proper, in place: what is too much becomes blanks, so lines and columns stay as they were. Strings stay. */
void json_plain(char *text, size_t len);

#endif
