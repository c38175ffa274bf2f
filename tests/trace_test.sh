# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2154,SC2086
#
# doc/ARCHITECTURE and doc/PROTOCOL, compared with what the library does.

atf_test_case protocol
protocol_head()
{
	atf_set descr "doc/PROTOCOL has each message of enum kind, and no other"
}
protocol_body()
{
	sed -n '/^enum kind {/,/^};/s/^	MSG_\([A-Z]*\).*/\1/p' \
	    "${GONS_TEST_SRC}/lib/reexec.h" | grep -v '^LAST$' | sort >code
	sed -n '/^Messages/,/^The text/s/^	\([A-Z][A-Z]*\)		*.*/\1/p' \
	    "${GONS_TEST_SRC}/doc/PROTOCOL" | sort -u >page
	test -s code || atf_fail "enum kind was not found"
	atf_check diff -u code page
}

atf_test_case action
action_head()
{
	atf_set descr "doc/PROTOCOL has the descriptors of gons_reexec_action" \
	    "in the order of the code"
}
action_body()
{
	sed -n '/^	GONS__FD_/{s/^	GONS__FD_\([A-Z]*\).*/\1/;p;}' \
	    "${GONS_TEST_SRC}/lib/internal.h" >code
	test -s code || atf_fail "the enumeration was not found"
	sed -n 's/^	gons_reexec_action=FLAGS:\([A-Z,]*\):NAME$/\1/p' \
	    "${GONS_TEST_SRC}/doc/PROTOCOL" | tr , '\n' >page
	atf_check diff -u code page
	sed -n '/^The text/,$s/^	\([A-Z][A-Z]*\)		*.*/\1/p' \
	    "${GONS_TEST_SRC}/doc/PROTOCOL" >explained
	atf_check diff -u code explained
}

atf_test_case sources
sources_head()
{
	atf_set descr "doc/ARCHITECTURE has each descriptor of enum source"
}
sources_body()
{
	sed -n 's/^	\(SRC_[A-Z]*\)[, ].*/\1/p' \
	    "${GONS_TEST_SRC}/lib/reexec.h" | sort >code
	test -s code || atf_fail "enum source was not found"
	sed -n 's/^	\(SRC_[A-Z]*\)	.*/\1/p' \
	    "${GONS_TEST_SRC}/doc/ARCHITECTURE" | sort >page
	atf_check diff -u code page
}

# table FILE MACHINE: the changes that the comment at its top allows.
table()
{
	table_of "$GONS_TEST_SRC/lib/$1" "$2"
}
table_of()
{
	sed '/^ \*\//q' "$1" | awk -v m="$2" '
	    $1 == "*" && /[A-Z] -> [A-Z]/ {
		for (i = 2; $i != "->"; i++) {
			sub(",", "", $i)
			print m, $i, "->", to($0)
		}
	    }
	    function to(line) {
		sub(".*-> ", "", line)
		sub("[^A-Z_].*", "", line)
		return line
	    }'
}

atf_test_case states
states_head()
{
	atf_set descr "doc/ARCHITECTURE has the tables of states in comments"
	atf_set require.progs awk
}
states_body()
{
	for f in reexec_run.c reexec_result.c reexec_pool.c; do
		table "$f" "$f"
	done | sort >code
	# The same form, so that one function reads both.
	awk '/^[^	].*_is\(\) in lib\/.*:$/ {
		file = $NF
		gsub(".*/|:", "", file)
	    }
	    /^	.* -> / { print " *" $0 >"doc." file }' \
	    "$GONS_TEST_SRC/doc/ARCHITECTURE"
	for f in reexec_run.c reexec_result.c reexec_pool.c; do
		table_of "doc.$f" "$f"
	done | sort >page
	test "$(wc -l <code)" -gt 15 || atf_fail "no tables were found"
	atf_check diff -u code page
}

atf_test_case transitions
transitions_head()
{
	atf_set descr "each change of state is one of the tables in comments"
	atf_set require.progs awk
}
transitions_body()
{
	test "$GONS_TEST_SANITIZE" = no || atf_skip "not with a sanitizer"
	cat >app.c <<'EOF'
#include <gons.h>
#include <stdio.h>

static int
act(void)
{
	return puts("x") == EOF;
}

static int
run(unsigned flags)
{
	struct gons_reexec *r = gons_reexec_new("act");
	int bad = r == NULL || gons_reexec_setflags(r, flags) == -1 ||
	    gons_reexec_run(r) == -1;

	gons_reexec_free(r);
	return bad;
}

int
main(void)
{
	if (gons_reexec_register("act", act) == -1)
		return 1;
	gons_reexec_check();
	return run(0) || run(GONS_REEXEC_PREPARED);
}
EOF
	for f in "$GONS_TEST_SRC"/lib/*.c; do
		case ${f##*/} in json.c) continue ;; esac
		atf_check -e ignore $CC -w -fno-builtin -D_GNU_SOURCE \
		    "-DGONS_TRACE=\"$PWD/log\"" '-DGONS_VERSION="0"' \
		    -I"$GONS_TEST_SRC/include" -c "$f"
	done
	atf_check -e ignore $CC -I"$GONS_TEST_SRC/include" -o app app.c ./*.o \
	    -lpthread
	atf_check -e ignore ./app
	{
		table reexec_run.c process
		table reexec_run.c stop
		table reexec_result.c result
		table reexec_pool.c pool
	} | sort -u >allowed
	sed -n 's/^[0-9]* \(.* -> .*\)/\1/p' log | sort -u >seen
	for change in "process NONE -> ALIVE" "process NONE -> OFFERED" \
	    "process OFFERED -> ALIVE" "process GONE -> KNOWN" \
	    "result OPEN -> COMPLETE" "pool MAKING -> READY"; do
		grep -qx "$change" seen || atf_fail "not seen: $change"
	done
	atf_check comm -13 allowed seen
}

atf_init_test_cases()
{
	atf_add_test_case protocol
	atf_add_test_case action
	atf_add_test_case sources
	atf_add_test_case states
	atf_add_test_case transitions
}
