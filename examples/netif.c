/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Prints the network interfaces of another network namespace.  An action
 * looks for them there and returns them as JSON.  See gons_json(3).
 *
 *	cc -o netif netif.c $(pkg-config --cflags --libs gons-json)
 *	./netif /proc/4711/ns/net
 */

#include <net/if.h>

#include <err.h>
#include <stdio.h>

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
	struct gons_reexec *req;
	json_t *names;
	size_t i;

	if (gons_reexec_register("interfaces", interfaces) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();

	if (argc != 2)
		errx(1, "usage: netif /proc/PID/ns/net");
	if ((req = gons_reexec_new("interfaces")) == NULL ||
	    gons_reexec_namespace(req, "net", argv[1]) == -1)
		err(1, "%s", argv[1]);
	if (gons_json_run(req, &names) == -1)
		errx(1, "%s", gons_reexec_error(req));
	for (i = 0; i < json_array_size(names); i++)
		printf("%s\n", json_string_value(json_array_get(names, i)));
	json_decref(names);
	gons_reexec_free(req);
	return 0;
}
