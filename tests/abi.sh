#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# abi.sh SOURCES OBJECTS DIRECTORY: compares the shared libraries in OBJECTS
# with those of the last release, which is built in DIRECTORY.  Fails if there
# is a change but additions, which HACKING has rules for.

set -eu

src=$1
obj=$2
dir=$3
: "${MAKE:=bmake}"

git="git -c safe.directory=* -C $src"
set -f
if ! tag=$($git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null)
then
	echo "abi: no release is tagged (v1.2.3) to compare with"
	exit 0
fi
set +f
if ! command -v abidiff >/dev/null 2>&1; then
	echo "abi: needs abidiff (abigail-tools, libabigail)" >&2
	exit 1
fi

rm -rf "$dir"
mkdir -p "$dir/source"
(set -f; $git archive "$tag") | (cd "$dir/source" && tar -xf -)
(cd "$dir/source" && $MAKE MAKEOBJDIRPREFIX= all) >"$dir/log" 2>&1 || {
	echo "abi: release $tag does not build, see $dir/log" >&2
	exit 1
}

status=0
for lib in "$dir"/source/lib/lib*.so.*; do
	name=$(basename "$lib")
	if [ -h "$lib" ]; then
		continue
	fi
	if [ ! -f "$obj/$name" ]; then
		echo "abi: $name of $tag is gone" >&2
		status=1
		continue
	fi
	echo "abi: $name against $tag"
	# Additions break no program; whether the rest does is to be judged.
	abidiff --no-added-syms --headers-dir1 "$dir/source/include" \
	    --headers-dir2 "$src/include" "$lib" "$obj/$name" || status=1
done
exit "$status"
