/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Prints the network interfaces of other network namespaces.  An action looks
 * for them there and returns them as JSON.  See gons_json(3), gons_multi(3).
 *
 *	cc -o netif netif.c $(pkg-config --cflags --libs gons-json)
 *	./netif /proc/4711/ns/net ...
 */

#include <net/if.h>

#include <err.h>
#include <stdio.h>
#include <unistd.h>

#include <gons_json.h>

static int
interfaces(void)
{
	struct if_nameindex *list, *i;
	json_t *names;
	int result;

	if ((list = if_nameindex()) == NULL)
		err(1, "if_nameindex");
	names = json_array();
	for (i = list; i->if_name != NULL; i++)
		json_array_append_new(names, json_string(i->if_name));
	result = gons_json_output(names);
	json_decref(names);
	if_freenameindex(list);
	return result == -1;
}

int
main(int argc, char *argv[])
{
	struct gons_multi *multi;
	struct gons_reexec *req;
	json_t *names;
	int status = 0;

	if (gons_reexec_register("interfaces", interfaces) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();

	if (argc < 2)
		errx(1, "usage: netif /proc/PID/ns/net ...");
	if ((multi = gons_multi_new(10)) == NULL)
		err(1, "gons_multi_new");
	while (*++argv != NULL)
		if ((req = gons_reexec_new("interfaces")) == NULL ||
		    gons_reexec_namespace(req, "net", *argv) == -1 ||
		    gons_json_expect(req) == -1 ||
		    gons_multi_add(multi, req) == -1)
			err(1, "%s", *argv);
		else
			gons_reexec_setdata(req, *argv);
	while ((req = gons_multi_next(multi, -1)) != NULL) {
		printf("%s ", (const char *)gons_reexec_data(req));
		if (gons_json_result(req, &names) == 0)
			json_dumpf(names, stdout, 0);
		else {
			printf("%s", gons_reexec_error(req));
			status = 1;
		}
		puts("");
		json_decref(names);
		gons_reexec_free(req);
		if (isatty(STDERR_FILENO))
			fprintf(
			    stderr, "%u left \r", gons_multi_pending(multi));
	}
	gons_multi_free(multi);
	return status;
}
