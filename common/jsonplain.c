/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See jsonplain.h. */
#include "config.h"
#include "common/jsonplain.h"

#include <stdbool.h>
#include <string.h>

/* From the quote at @i to the one that ends the string, or to the end. */
static size_t skip_string(const char *text, size_t len, size_t i)
{
	while (++i < len && text[i] != '"')
		i += text[i] == '\\';
	return i;
}

void json_plain(char *text, size_t len)
{
	char *comma = NULL; /* nothing but blanks and comments since */

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '/' && i + 1 < len && text[i + 1] == '/') {
			for (; i < len && text[i] != '\n'; i++)
				text[i] = ' ';
			continue;
		}
		if (strchr(" \t\r\n", c) && c)
			continue;
		if (comma && (c == '}' || c == ']'))
			*comma = ' ';
		comma = c == ',' ? text + i : NULL;
		if (c == '"')
			i = skip_string(text, len, i);
	}
}
