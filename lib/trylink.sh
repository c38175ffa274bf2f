#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# trylink.sh HEADER FUNCTION FLAGS...: prints "yes" if a program that uses that
# function can be compiled and linked with these flags by ${cc}, else "no".

header=$1
function=$2
shift 2
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cat >"$dir/try.c" <<END
#include <stdio.h>
#include <$header>
void (*volatile use)(void);
int main(void) { use = (void (*)(void))$function; return 0; }
END
# The flags of each argument are separate words.
# shellcheck disable=SC2048,SC2086
if ${cc:-cc} -o "$dir/try" "$dir/try.c" $* >/dev/null 2>&1; then
	echo yes
else
	echo no
fi
