# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2154
#
# The models of tests/model are about the library as it is.

# code FILE ENUM: its members
code()
{
	sed -n "/^enum $2 {/,/^};/s/^	\([A-Z_][A-Z_]*\).*/\1/p" \
	    "$GONS_TEST_SRC/lib/$1" | grep -v '^MSG_LAST$' | sort
}

# model TYPE: its names
model()
{
	tr '\n' ' ' <"$GONS_TEST_SRC/tests/model/names.pml" | tr ';' '\n' |
	    sed -n "s/.*mtype:$1 = {\(.*\)}.*/\1/p" | tr ', 	' '\n\n\n' |
	    grep . | sort
}

atf_test_case names
names_head()
{
	atf_set descr "states and messages have the library's names in models"
}
names_body()
{
	for pair in reexec.h:process reexec.h:stop reexec_pool.c:pool_state \
	    reexec.h:kind; do
		code "${pair%:*}" "${pair#*:}" >code
		test -s code || atf_fail "enum ${pair#*:} was not found"
		model "${pair#*:}" >model
		atf_check diff -u code model
	done
	# A part of them will do here.
	code reexec.h cause >code
	model cause >model
	test -s model || atf_fail "no cause"
	atf_check comm -13 code model
}

atf_test_case changes
changes_head()
{
	atf_set descr "a model changes its states as the comments in lib say"
}
changes_body()
{
	# What prepared.pml sets a process to is in the table, or where it
	# begins and what a forked copy is.
	sed -n 's/.*-> \([A-Z]*\)	.*/\1/p' \
	    "$GONS_TEST_SRC/lib/reexec_run.c" | sort -u >table
	grep -q '^ALIVE$' table || atf_fail "there is no table"
	sed -n 's/.*\<is = \([A-Z]*\).*/\1/p' \
	    "$GONS_TEST_SRC/tests/model/prepared.pml" | sort -u >model
	grep -q '^ALIVE$' model || atf_fail "the model does nothing"
	atf_check comm -13 table model
}

# steps: of the tables in reexec_run.c each line "A, B -> C" as "A C", "B C"
steps()
{
	sed -n 's/^ \*	\([A-Z, ]*\) -> \([A-Z]*\).*/\1, \2/p' \
	    "$GONS_TEST_SRC/lib/reexec_run.c" | awk -F ', ' \
	    '{ for (i = 1; i < NF; i++) print $i, $NF }' | sort -u
}

# moves MACRO: what the models say with it, in the same form
moves()
{
	cat "$GONS_TEST_SRC"/tests/model/*.pml | tr ';' '\n' |
	    sed -n "s/.*\<$1(\([A-Z_]*\), \([A-Z_]*\)).*/\1 \2/p" |
	    sed 's/STOP_//g' | sort -u
}

atf_test_case transitions
transitions_head()
{
	atf_set descr "models go from state to state as the tables in lib say"
}
transitions_body()
{
	steps >table
	grep -q '^NONE TERM$' table || atf_fail "there is no table"
	for macro in change stops; do
		moves "$macro" >model
		test -s model || atf_fail "no model has $macro"
		atf_check comm -13 table model
	done
	# What stay.pml is for, and supervised.pml.
	moves change >model
	atf_check -o match:'^ALIVE RETURNED$' cat model
	atf_check -o match:'^ALIVE LOST$' cat model
}

atf_init_test_cases()
{
	atf_add_test_case names
	atf_add_test_case changes
	atf_add_test_case transitions
}
