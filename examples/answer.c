/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The answer to everything comes from an action: a function of this program
 * that runs in a new process and prints JSON.  See gons_json(3).
 *
 *	cc -o answer answer.c $(pkg-config --cflags --libs gons-json)
 *	./answer
 */

#include <err.h>
#include <stdio.h>

#include <gons_json.h>

static int
answer(void)
{
	printf("42\n");
	return 0;
}

int
main(void)
{
	struct gons_reexec *req;
	int n;

	if (gons_reexec_register("answer", answer) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();

	if ((req = gons_reexec_new("answer")) == NULL)
		err(1, "gons_reexec_new");
	if (gons_json_unpack(req, "i", &n) == -1)
		errx(1, "%s", gons_reexec_error(req));
	printf("The answer is %d.\n", n);
	gons_reexec_free(req);
	return 0;
}
