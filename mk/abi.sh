#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# abi.sh compare|write HEADERS LIBRARIES REFERENCE: compares the shared
# libraries in a directory with what REFERENCE says of the last release, or
# writes REFERENCE anew.  Additions break no program and are no difference;
# HACKING has the rules for others.

set -eu

what=$1
headers=$2
libs=$3
reference=$4

for prog in abidw abidiff readelf; do
	if ! command -v $prog >/dev/null 2>&1; then
		echo "abi: needs $prog (abigail-tools or libabigail, binutils)" >&2
		exit 1
	fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Only libgons and libgons_json of one release share functions gons__*.  New
# members may take their room from "reserved"; abidiff then takes no notice of
# other changes of that structure, which layout() does.
cat >"$work/allowed" <<-END
	[suppress_function]
	  symbol_name_regexp = ^gons__
	  drop = yes
	[suppress_type]
	  name_regexp = ^gons_(covstat|env|error|order)\$
	  has_data_member_inserted_between = {offset_of(reserved), end}
END
set -- --exported-interfaces-only --no-architecture \
    --suppressions "$work/allowed"

# layout FILE: each public structure has the size and offsets that FILE tells.
layout()
{
	{
		echo '#include <stddef.h>'
		echo '#include <gons.h>'
		awk -F "'" '$2 ~ /^gons_/ && /<class-decl .* size-in-bits=/ {
			name = $2
			printf "_Static_assert(8 * sizeof(struct %s) == %s, "\
			    "\"size of %s\");\n", name, $4, name
		}
		/<data-member .* layout-offset-in-bits=/ { offset = $4 }
		/<var-decl / && name != "" && $2 != "reserved" {
			printf "_Static_assert(8 * offsetof(struct %s, %s) == "\
			    "%s, \"%s of %s\");\n", name, $2, offset, $2, name
		}
		/<\/class-decl>/ { name = "" }' "$1"
	} >"$work/layout.c"
	# The flags in ${CC} are separate words.
	# shellcheck disable=SC2086
	${CC:-cc} -I"$headers" -c -o "$work/layout.o" "$work/layout.c"
}

status=0
for name in libgons libgons_json; do
	file=$(echo "$libs/$name".so.*.*)
	if [ ! -f "$file" ]; then
		echo "abi: $name is not built: not compared"
		continue
	fi
	if ! readelf -h "$file" | grep -q 'X86-64'; then
		echo "abi: the reference is of x86-64, $name is not: not compared"
		continue
	fi
	if [ "$what" = write ]; then
		abidw "$@" --drop-private-types --headers-dir "$headers" --no-corpus-path \
		    --no-comp-dir-path --no-show-locs --no-elf-needed \
		    --no-parameter-names --no-write-default-sizes \
		    --out-file "$reference/$name.abi" "$file"
		continue
	fi
	echo "abi: $name"
	abidiff "$@" --no-added-syms "$reference/$name.abi" "$file" || status=1
	layout "$reference/$name.abi" || status=1
done
exit "$status"
