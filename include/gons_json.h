/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Parameters and results of re-executed actions as JSON values of jansson.
 * The manual is gons_json(3); this file is its short form.
 *
 * Unless it says otherwise, a function returns 0, or -1 with errno set and the
 * reason in gons_reexec_error().  As with all of a request: in any thread, by
 * one at a time.
 */

#ifndef GONS_JSON_H
#define GONS_JSON_H

#include <stdarg.h>

#include <jansson.h>

#include <gons.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sets the value that the action gets from gons_json_input().  It is encoded at
 * once, and the caller keeps param.  EINVAL: NULL, or it cannot be encoded;
 * ENOMEM; EBUSY.
 */
int gons_json_param(struct gons_reexec *req, const json_t *param);

/*
 * Runs the request; the result is one JSON value.  *result: a new reference,
 * or NULL if it fails; result itself may be NULL.  Fails as
 * gons_reexec_run() does, a result that does not decode with EBADMSG.
 */
int gons_json_run(struct gons_reexec *req, json_t **result);
/*
 * The same, and stores parts of the result as json_unpack() does.  Strings, and
 * values of the format "o", belong to the request, until it is started again or
 * freed.  EBADMSG: the result does not fit the format; EINVAL: the format is
 * wrong.
 */
int gons_json_unpack(struct gons_reexec *req, const char *fmt, ...);
int gons_json_vunpack(struct gons_reexec *req, const char *fmt, va_list ap);

/*
 * For poll loops.  Before the start: the result is one JSON value, complete at
 * its end.  It takes the place of gons_reexec_setcomplete(), and stays for
 * later runs.  EBUSY.
 */
int gons_json_expect(struct gons_reexec *req);
/*
 * When the run is done: its result, as from gons_json_run().  EAGAIN: it is
 * not done yet; EINVAL: there was none.
 */
int gons_json_result(struct gons_reexec *req, json_t **result);

/*
 * In the child: the parameter, a new reference; the same each time.  NULL with
 * ENODATA: there is none; EBADMSG: it is not one JSON value.
 */
json_t *gons_json_input(void);
/*
 * In the child: the result, with GONS_REEXEC_REPLY by gons_reexec_reply(),
 * else to stdout, flushed.  The caller keeps value.  EINVAL: NULL, or it
 * cannot be encoded; ENOMEM; errors of write(2), EALREADY.
 */
int gons_json_output(const json_t *value);

#ifdef __cplusplus
}
#endif

#endif /* GONS_JSON_H */
