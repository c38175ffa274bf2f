/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Where a JSON value ends.  The first byte tells in what pieces the rest
 * comes: in one, in two, or byte by byte, the verdict is the same.
 */

#include "json_end.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct json_end whole = { 0 }, bytes = { 0 }, two = { 0 };
	enum json_end_verdict v1, v2 = JSON_END_MORE, v3;
	size_t cut, i;

	if (size == 0)
		return 0;
	cut = data[0] < size ? data[0] : size - 1;
	data++;
	size--;
	v1 = json_end_feed(&whole, data, size);
	for (i = 0; i < size && v2 == JSON_END_MORE; i++)
		v2 = json_end_feed(&bytes, data + i, 1);
	v3 = json_end_feed(&two, data, cut);
	if (v3 == JSON_END_MORE)
		v3 = json_end_feed(&two, data + cut, size - cut);
	MUST(v1 == v2 && v1 == v3);
	MUST(whole.at == bytes.at && whole.at == two.at);
	MUST(whole.at <= size);
	MUST(whole.depth <= JSON_END_DEPTH + 1);
	if (v1 == JSON_END_HERE) {
		MUST(whole.at > 0);
		/* what follows does not matter */
		memset(&two, 0, sizeof(two));
		MUST(json_end_feed(&two, data, whole.at) != JSON_END_NEVER);
	}
	return 0;
}
