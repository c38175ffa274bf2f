# SPDX-License-Identifier: BSD-2-Clause
#
# The first commands of a newcomer: what ./bootstrap does about tools that are
# missing, on a machine that is made up here, and the demonstration.

# machine PROGRAM...: what bootstrap can execute from now on: what it is made
# of, and these, which exist and do nothing.
machine()
{
	rm -rf bin
	mkdir bin
	for prog in sh cat cut dirname env grep id ls mktemp rm sed sort tail \
	    uname; do
		ln -s "$(command -v $prog)" bin/$prog
	done
	for prog in cc bmake pkg-config true unshare "$@"; do
		says "$prog" 'exit 0'
	done
	says bmake 'echo "bmake $*"'
	says id 'echo 1000'
}

# says PROGRAM TEXT: that program is this shell script.
says()
{
	rm -f "bin/$1"
	printf '#!/bin/sh\n%s\n' "$2" >"bin/$1"
	chmod 755 "bin/$1"
}

# A package manager that knows all packages, has none, and installs nothing for
# ordinary users; calls are counted in the file named log.
manager()
{
	says dpkg-query 'exit 1'
	says apt-cache 'echo "  Candidate: 1.0"'
	says apt-get "echo \"\$*\" >>$PWD/log; echo 'E: no network' >&2; exit 100"
	: >log
}

# bootstrap ARGUMENT...: with what atf_check then checks.
bootstrap()
{
	echo "bootstrap $*"
	env -i PATH="$PWD/bin" HOME="$PWD" "$GONS_TEST_SRC/bootstrap" "$@" \
	    >out 2>err </dev/null
	status=$?
	cat out err
}

# ended STATUS LINES: so it ended, after so many lines of complaints.
ended()
{
	[ "$status" -eq "$1" ] || atf_fail "it ended with $status"
	[ "$(grep -c '' err)" -eq "$2" ] || atf_fail "not $2 lines"
}

atf_test_case complete
complete_head()
{
	atf_set descr "nothing is installed where nothing is missing"
}
complete_body()
{
	machine
	manager
	for targets in all 'demo -j2' 'examples PREFIX=/usr install-lib'; do
		# shellcheck disable=SC2086
		bootstrap $targets
		ended 0 0
		atf_check -o inline:"bmake $targets\n" cat out
	done
	bootstrap
	atf_check -o inline:'bmake all\n' cat out
	machine kyua atf-sh mandoc
	manager
	bootstrap check
	ended 0 0
	atf_check -o inline:'bmake check\n' cat out
	atf_check cat log
}

atf_test_case wanted
wanted_head()
{
	atf_set descr "an ordinary user goes on without what is only wanted"
}
wanted_body()
{
	machine kyua atf-sh mandoc
	manager
	bootstrap test
	ended 0 1
	atf_check -o inline:'bmake test\n' cat out
	atf_check -o match:'going on without .* clang .* valgrind[ :]' \
	    -o match:'no rights to install: be root, or have sudo' cat err
	# sudo that would need a password, and nobody to type it.
	says sudo 'exit 1'
	bootstrap test
	ended 0 1
	atf_check -o inline:'bmake test\n' cat out
	atf_check cat log
	# A machine without any package manager.
	rm bin/apt-get
	bootstrap test
	ended 0 1
	atf_check -o match:'going on without .*[ :]clang.*no apt, dnf' cat err
}

atf_test_case needed
needed_head()
{
	atf_set descr "each program that is needed and missing is named"
}
needed_body()
{
	machine atf-sh mandoc
	manager
	bootstrap test
	ended 1 1
	atf_check cat out
	atf_check -o match:'no rights to install.*please install kyua$' cat err
	# For other targets kyua need not be there.
	bootstrap all
	ended 0 0
	rm bin/cc
	bootstrap all
	ended 1 1
	atf_check -o match:'please install gcc$' cat err
}

atf_test_case network
network_head()
{
	atf_set descr "without network one line tells so"
}
network_body()
{
	# With root's rights by sudo.
	machine kyua atf-sh mandoc
	manager
	says sudo '[ "$1" != -n ] || shift; exec "$@"'
	bootstrap test
	ended 0 2
	atf_check -o inline:'bmake test\n' cat out
	atf_check -o match:'installing .*clang' \
	    -o match:'going on without .*clang.* \(apt-get: E: no network\)$' \
	    cat err
	# Once for the lists, once for the packages.
	atf_check -o inline:'2\n' grep -c '' log
	rm bin/kyua
	bootstrap test
	ended 1 2
	atf_check -o match:'cannot install kyua: E: no network$' cat err
}

atf_test_case one_is_missing
one_is_missing_head()
{
	atf_set descr "a package that cannot be had keeps no other away"
}
one_is_missing_body()
{
	machine kyua atf-sh mandoc
	manager
	says sudo '[ "$1" != -n ] || shift; exec "$@"'
	says apt-get "echo \"\$*\" >>$PWD/log
	case \"\$*\" in *mold*) echo 'E: broken' >&2; exit 100;; esac"
	bootstrap test
	ended 0 2
	atf_check -o match:'going on without mold: .*E: broken' cat err
	atf_check -o match:'install clang$' -o match:'install lld$' cat log
}

atf_test_case demo
demo_head()
{
	atf_set descr "the demonstration prints a table and leaves nothing"
}
demo_body()
{
	needs_abi "${own_cc%% *}"
	needs_target user,net
	# shellcheck disable=SC2046
	atf_check "${own_cc%% *}" -o show "$GONS_TEST_SRC/examples/show.c" \
	    $(pkg-config --cflags --libs gons)
	mkdir tmp
	n=0
	while [ $n -lt 20 ]; do
		atf_check -o save:out env TMPDIR="$PWD/tmp" \
		    sh "$GONS_TEST_SRC/examples/demo.sh" ./show
		n=$((n + 1))
	done
	atf_check -o match:'^One program' head -n 1 out
	atf_check -o match:'^net .*<- joined$' \
	    -o match:'^pid_for_children .*<- joined$' cat out
	atf_check ls -A tmp
}

atf_test_case demo_target
demo_target_head()
{
	atf_set descr "bmake demo says nothing before its table"
}
demo_target_body()
{
	needs_abi "${own_cc%% *}"
	needs_target user,net
	# Nor that there is no jansson.
	build "$PWD/obj" CC="$own_cc" PKG_CONFIG=false demo
	atf_check -o match:'^One program' sed -n 1p make.log
}

atf_init_test_cases()
{
	# shellcheck source=tests/support/common.sh
	. "$(atf_get_srcdir)/support/common.sh"
	for tc in complete wanted needed network one_is_missing demo \
	    demo_target; do
		atf_add_test_case $tc
	done
}
