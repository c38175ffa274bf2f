# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2154
#
# Each entry for fuzzing, without a fuzzer: the inputs that are kept.

atf_test_case corpus
corpus_head()
{
	atf_set descr "each entry for fuzzing accepts the inputs in its corpus"
	atf_set timeout 300
}
corpus_body()
{
	for prog in "$GONS_TEST_OBJ"/tests/fuzz/replay_*; do
		[ -x "$prog" ] || continue
		case $prog in *.d) continue;; esac
		name=${prog##*/replay_}
		[ -d "$GONS_TEST_SRC/tests/fuzz/corpus/$name" ] ||
		    atf_fail "there is no corpus for $name"
		find "$GONS_TEST_SRC/tests/fuzz/corpus/$name" -type f |
		    sort >files
		echo "$name: $(wc -l <files) files"
		# shellcheck disable=SC2046
		atf_check -o match:'^[1-9][0-9]*$' "$prog" $(cat files)
		ran=yes
	done
	[ -n "$ran" ] || atf_fail "there is nothing to run"
}

atf_init_test_cases()
{
	atf_add_test_case corpus
}
