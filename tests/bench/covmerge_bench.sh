# SPDX-License-Identifier: BSD-2-Clause
#
# Merging coverage data, beside gcov-tool if there is one; in memory if can be.

set -u
: "${GONS_TEST_OBJ:?}" "${GONS_TEST_SRC:?}"
dir=$(mktemp -d /dev/shm/gons.XXXXXX 2>/dev/null || mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
${CC:-cc} -O2 -D_GNU_SOURCE -I"$GONS_TEST_SRC/include" -o bench \
    "$GONS_TEST_SRC/tests/bench/bench_covmerge.c" \
    "$GONS_TEST_OBJ/lib/autostart.o" "$GONS_TEST_OBJ/lib/libgons.a" || exit 1
printf '\ncoverage\n'
command -v gcov-tool >/dev/null || echo '  gcov-tool: not installed'
./bench
