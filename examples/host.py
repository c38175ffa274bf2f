#!/usr/bin/env python3
#
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The libgons developers
#
# The network interfaces of containers, from a host program in Python: the
# function interfaces() runs inside each of them.  See gons_reexec(3).
#
#	./host.py PID...

import ctypes
import json
import os
import socket  # not later: an action would import what the container has
import sys

gons = ctypes.CDLL("libgons.so.0", use_errno=True)
ACTION = ctypes.CFUNCTYPE(ctypes.c_int)
STDERR_KEEP = 1 << 5  # GONS_REEXEC_STDERR_KEEP in gons.h
for name, result, *arguments in (
    ("register", ctypes.c_int, ctypes.c_char_p, ACTION),
    ("setargs", ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
    ("check", None),
    ("new", ctypes.c_void_p, ctypes.c_char_p),
    ("free", None, ctypes.c_void_p),
    ("targetpid", ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint),
    ("setflags", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint),
    ("run", ctypes.c_int, ctypes.c_void_p),
    ("result", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p),
    ("error", ctypes.c_char_p, ctypes.c_void_p),
):
    function = getattr(gons, "gons_reexec_" + name)
    function.restype, function.argtypes = result, arguments


def expect(value, what):
    if value in (-1, None):
        errnum = ctypes.get_errno()
        sys.exit("host.py: %s: %s" % (what, os.strerror(errnum)))
    return value


@ACTION
def interfaces():
    """The action: it runs in a child, which ends without Python's own exit."""
    try:
        json.dump([name for _, name in socket.if_nameindex()], sys.stdout)
        sys.stdout.flush()
        return 0
    except Exception as error:  # ctypes would lose it
        os.write(2, str(error).encode())
        return 1


def ask(pid):
    req = expect(gons.gons_reexec_new(b"interfaces"), "new")
    try:
        expect(gons.gons_reexec_targetpid(req, pid, 0), "PID %d" % pid)
        expect(gons.gons_reexec_setflags(req, STDERR_KEEP), "setflags")
        if gons.gons_reexec_run(req) == -1:
            sys.exit(gons.gons_reexec_error(req).decode())
        return json.loads(gons.gons_reexec_result(req, None))
    finally:
        gons.gons_reexec_free(req)


# A child is the interpreter: it needs the script's name to come here again.
expect(gons.gons_reexec_register(b"interfaces", interfaces), "register")
again = [os.fsencode(word) for word in (sys.executable, "-I", __file__)]
expect(
    gons.gons_reexec_setargs((ctypes.c_char_p * 4)(*again, None)), "setargs"
)
gons.gons_reexec_check()

for arg in sys.argv[1:]:
    print(arg, *ask(int(arg)))
