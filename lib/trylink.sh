#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# trylink.sh HEADER FLAGS...: prints "yes" if a program with that header can
# be compiled and linked with these flags by ${cc}, else "no".

header=$1
shift
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
printf '#include <stdio.h>\n#include <%s>\nint main(void) { return 0; }\n' \
    "$header" >"$dir/try.c"
# The flags of each argument are separate words.
# shellcheck disable=SC2048,SC2086
if ${cc:-cc} -o "$dir/try" "$dir/try.c" $* >/dev/null 2>&1; then
	echo yes
else
	echo no
fi
