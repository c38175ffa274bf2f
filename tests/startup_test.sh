# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2016,SC2046,SC2086,SC2119,SC2154
#
# Start-up and others that run before main: libraries that start threads,
# sanitizers, dlopen(3), a second copy of libgons; and what is left of the
# environment.

# race COMPILER...: with a library, with an object, in each position.
race()
{
	"$@" -o try "$data/h_plain.c" 2>why ||
	    atf_skip "$* does not link: $(head -n 1 why)"
	src=$data/h_threaded.c
	thread=$data/h_thread.c
	libs=$(pkg-config --cflags --libs gons)
	archive=$stage/lib/libgons.a
	set -- "$@" -D_GNU_SOURCE -pthread -Wl,--no-as-needed

	links "$@" -shared -fPIC -o libthread.so "$thread"
	links "$@" -o app "$src" $libs -L. -lthread
	raced ./app
	links "$@" -o app "$src" -L. -lthread $libs
	raced ./app
	links "$@" -o app "$src" -L. -lthread "$archive"
	raced ./app
	links "$@" -o app "$thread" "$src" $libs
	raced ./app
	links "$@" -o app "$thread" "$src" "$archive"
	raced ./app
}

racing()
{
	needs_abi "$1"
	needs_target
	export LD_LIBRARY_PATH=".:$stage/lib"
	race "$@"
}

# One case for each, to tell apart what a compiler lacks.
sanitizers='none address undefined thread'
# What they look for does not change which lines run.
[ "${GONS_TEST_COVERAGE:-no}" = no ] || sanitizers=none
for cc in gcc clang; do
	for san in $sanitizers; do
		flag=-fsanitize=$san
		[ $san != none ] || flag=
		atf_test_case race_${cc}_$san
		eval "race_${cc}_${san}_head() {
			atf_set descr 'threads before main, $cc $flag'
			atf_set require.progs $cc
		}
		race_${cc}_${san}_body() { racing $cc $flag; }"
	done
done

atf_test_case race_static
race_static_head()
{
	atf_set descr "threads before main in static programs"
	atf_set require.progs gcc
}
race_static_body()
{
	needs_abi gcc
	needs_target
	for cc in gcc clang; do
		command -v $cc || continue
		for how in -static '-static-pie -fPIE' \
		    '-static -Wl,--gc-sections'; do
			echo "$cc $how"
			links $cc $how -D_GNU_SOURCE -o app \
			    "$data/h_thread.c" "$data/h_threaded.c" \
			    $(pkg-config --static --cflags --libs gons) -pthread
			raced ./app
		done
	done
	links gcc -static -fsanitize=undefined -D_GNU_SOURCE -o app \
	    "$data/h_thread.c" "$data/h_threaded.c" \
	    $(pkg-config --static --cflags --libs gons) -pthread
	raced ./app
}

atf_test_case race_preload
race_preload_head()
{
	atf_set descr "threads before main, with LD_PRELOAD"
	atf_set require.progs gcc
}
race_preload_body()
{
	needs_abi gcc
	needs_target
	export LD_LIBRARY_PATH=".:$stage/lib"
	links gcc -shared -fPIC -pthread -o libthread.so "$data/h_thread.c"
	# The kernel does refuse it, or these tests would tell nothing.
	links gcc -D_GNU_SOURCE -o app "$data/h_threaded.c" -L. -lthread
	atf_check -o inline:'setns EINVAL\n' "$target" user \
	    sh -c './app /proc/$TARGET/ns/user'
	# Others are asked for their privileges first.
	[ "$(id -u)" -ne 0 ] || atf_check -o inline:'setns EINVAL\n' \
	    "$target" mnt sh -c './app /proc/$TARGET/ns/mnt'
	raced env LD_PRELOAD=libgons.so.0 ./app
	raced env LD_PRELOAD="libgons.so.0 libthread.so" ./app
	raced env LD_PRELOAD="libthread.so libgons.so.0" ./app
	links gcc -o plain "$data/h_plain.c" $(pkg-config --libs gons)
	raced env LD_PRELOAD=libthread.so ./plain
}

atf_test_case race_lost
race_lost_head()
{
	atf_set descr "a library that is initialised before start-up"
	atf_set require.progs gcc
}
race_lost_body()
{
	needs_abi gcc
	needs_target
	export LD_LIBRARY_PATH=".:$stage/lib"
	links gcc -shared -fPIC -pthread -Wl,-z,initfirst -o libthread.so \
	    "$data/h_thread.c"
	links gcc $(pkg-config --cflags gons) -o app "$data/h_report.c" \
	    "$stage/lib/libgons.a" -Wl,--no-as-needed -L. -lthread
	too_late ./app
}

atf_test_case dlopen
dlopen_head()
{
	atf_set descr "loaded later: joins, or says why not"
}
dlopen_body()
{
	needs_abi $own_cc
	needs_target
	so=$stage/lib/libgons.so.0
	links $own_cc -D_GNU_SOURCE -pthread -o app "$data/h_dlopen.c" -ldl
	atf_check -o save:got "$target" -e -w want mnt,net,user ./app "$so"
	grep -v user want >expected
	printf 'joined 0x4c\nvariables 0\nstatus -\n' >>expected
	atf_check -o file:expected cat got

	# With a thread nothing moves, neither the one nor the other: not even
	# the network namespace, which the kernel would allow.
	for one in mnt,net,user net,user; do
		atf_check -o save:got "$target" -e $one ./app -t "$so"
		for who in '' 'other '; do
			for type in mnt net; do
				echo "$who$type $(readlink /proc/self/ns/$type)"
			done
		done >expected
		printf 'joined 0x0\nvariables 0\n' >>expected
		atf_check -o file:expected sed '$d' got
		atf_check -o match:'^status gons: .*gons_.*2 threads' \
		    tail -n 1 got
	done
	# The name without a number is none of a library.
	atf_check -s exit:1 -e match:'ELF header|too short' \
	    ./app "$stage/lib/libgons.so"
	# Without variables it is no error to have threads.
	atf_check -o match:'^status -$' -o match:'^joined 0x0$' ./app -t "$so"
}

# both EXPECTED COMMAND...: the program, its library, and the shared copy that
# this one uses, of which the program's is another, tell the same.
both()
{
	expected=$1
	shift
	atf_check -o save:got "$@"
	for who in program library shared; do
		echo "$who: $expected"
	done >expected
	echo 'copies 2' >>expected
	sort expected >expected.sorted
	atf_check -o file:expected.sorted sort got
}

# ./app, which has a copy, and uses a library that needs another.
two_copies()
{
	needs_abi $own_cc
	so=$stage/lib/libgons.so.0
	archive="$stage/lib/gons/autostart.o $stage/lib/gons/libgons.a"
	links $own_cc -shared -fPIC -o libuser.so "$data/h_user.c" \
	    $(pkg-config --cflags --libs gons)
	export LD_LIBRARY_PATH=".:$stage/lib"
	links $own_cc $(pkg-config --cflags gons) -D_GNU_SOURCE -o app \
	    "$data/h_copies.c" $archive -L. -luser -ldl
}

atf_test_case copies
copies_head()
{
	atf_set descr "two copies in one process: joined once, told by both"
}
copies_body()
{
	needs_target
	two_copies
	both 'joined 0xcc, status -' "$target" -e $types ./app "$so"
	both 'joined 0x0, status -' ./app "$so"
	both 'joined 0x0, status -' env gons_net= gons_onerror=exit ./app "$so"
	# Programs see their namespaces and no variables.
	links $own_cc -o plain "$data/h_plain.c" $archive \
	    -Wl,--no-as-needed -L. -luser
	atf_check -o match:'libgons\.so\.0' readelf -d libuser.so
	starts ./plain
}

atf_test_case copies_failed
copies_failed_head()
{
	atf_set descr "two copies: of a failure, any number of variables"
}
copies_failed_body()
{
	two_copies
	net=gons_net=/no
	text='gons: invalid gons_net reference "/no": No such file or directory'
	base="env -i LD_LIBRARY_PATH=$LD_LIBRARY_PATH"
	# The first, the last, alone, odd and even, the shortest, empty ones.
	for vars in "$net" "$net B=" "A= $net" "A= $net B=" \
	    "A= $net B= gons_uts=x" "$net gons_uts=x B=" \
	    "gons_uts=x B= $net" "gons_uts= $net gons_pid= gons_ipc=" \
	    "$net gons_uts= gons_pid=" "$net A= gons_uts=" \
	    "$net gons_uts=x gons_pid=x" "$net gons_uts=x gons_pid=x B= C=" \
	    "$net gons_order=net,uts gons_uts=x gons_ipc= gons_mnt="; do
		echo "$vars"
		both "joined 0x0, status $text" $base $vars ./app "$so"
	done
	both 'joined 0x0, status gons: unknown namespace type "x" in gons_order' \
	    $base gons_order=x ./app "$so"
	# What looks like the mark of another copy is none.
	mark=$(printf 'abcdefgh\001')
	both 'joined 0x0, status -' env A="$mark" B="$mark" C="$mark" \
	    D= E="$mark" ./app "$so" "$mark"
}

# later OPTIONS STATUS JOINED: a copy that comes later tells that.
later()
{
	echo "later $1"
	atf_check -o save:got env $vars ./later $1 "$so"
	atf_check -o inline:"joined $3\nvariables 0\nstatus $2\n" \
	    grep -e ^joined -e ^variables -e ^status got
}

atf_test_case copies_later
copies_later_head()
{
	atf_set descr "a copy that is loaded later: dlopen(3), dlmopen(3)"
}
copies_later_body()
{
	needs_abi $own_cc
	so=$stage/lib/libgons.so.0
	set -- $own_cc -D_GNU_SOURCE -pthread -o later "$data/h_dlopen.c"
	links "$@" "$stage/lib/gons/autostart.o" "$stage/lib/gons/libgons.a" \
	    -ldl
	text='gons: invalid gons_net reference "/no": No such file or directory'
	for vars in gons_net=/no 'gons_net=/no gons_uts=x'; do
		# The environment moved away, or thrown away; with a thread.
		for how in '' -m -s -c '-m -c' -t; do
			later "$how" "$text" 0x0
		done
	done
	vars=
	later '' - 0x0
	later -m - 0x0
	needs_target
	atf_check -o match:'^status -$' -o match:'^joined 0xcc$' \
	    "$target" -e $types ./later -t "$so"
}

# The library that knew has been unloaded: that is a failure, and no crash.
atf_test_case copies_gone
copies_gone_head()
{
	atf_set descr "the copy that knew the outcome is gone"
}
copies_gone_body()
{
	needs_abi $own_cc
	so=$stage/lib/libgons.so.0
	cp "$so" first.so
	links $own_cc -D_GNU_SOURCE -pthread -o later "$data/h_dlopen.c" -ldl
	for vars in gons_net=/no "gons_net=/proc/self/ns/net" \
	    'gons_net=/no gons_uts=x'; do
		later '-u ./first.so' 'gons: another copy of the library has taken the variables, and its status is lost' 0x0
	done
}

# Where such a mark stands, and its word is anything.
atf_test_case copies_forged
copies_forged_head()
{
	atf_set descr "a forged mark is not followed to where nothing is"
}
copies_forged_body()
{
	needs_abi $own_cc
	so=$stage/lib/libgons.so.0
	links $own_cc -D_GNU_SOURCE -I"$GONS_TEST_SRC/lib" \
	    -I"$stage/include" -o forge "$data/h_forge.c" \
	    "$stage/lib/gons/libgons.a" -ldl
	lost='status gons: another copy of the library has taken the variables, and its status is lost'
	# A mark takes ten bytes, and must not reach the arguments.
	forge='env -i FIRST=has_room_for_a_mark SECOND= ./forge'
	for word in null low high kernel zeros end moved; do
		echo "$word"
		atf_check -o inline:"$lost\n" $forge "$so" $word
	done
	# This one shows that the others do write what is looked for.
	atf_check -o inline:'status gons: unknown error about "forged": No such device\n' \
	    $forge "$so" right
	# Another key: it is nobody's mark.
	atf_check -o inline:'status -\n' $forge "$so" key
}

# makes FLAG...: does the compiler, without the library?
makes()
{
	$own_cc "$@" -o makes abi.c 2>makes.err && ./makes
}

# sane EXPECTED COMMAND...: finds arguments, environment and auxiliary vector
# as the other program does.
sane()
{
	expected=$1
	shift
	atf_check -o save:got -e empty "$@"
	atf_check -o file:"$expected" cat got
}

atf_test_case sane
sane_head()
{
	atf_set descr "arguments, environment, auxiliary vector afterwards"
}
sane_body()
{
	needs_abi $own_cc
	needs_target
	libs=$(pkg-config --cflags --libs gons)
	src=$data/h_sane.c
	mkdir bin
	links $own_cc -D_GNU_SOURCE -o app "$src"
	atf_check mv app bin/app
	# The caller's variables first, the target's behind them, and one last.
	base="env -i FIRST=1 LD_LIBRARY_PATH=$LD_LIBRARY_PATH"
	end='MIDDLE=with=sign EMPTY= LAST=last'
	atf_check -o save:expected $base $end bin/app a 'b c' ''
	atf_check -o match:'^walk ends$' -o match:'^argv b c$' \
	    -o match:'^LAST last$' -o match:'^page size right$' cat expected
	for how in '' -static '-static-pie -fPIE' -fsanitize=address; do
		makes $how || continue
		echo "$how"
		links $own_cc $how -D_GNU_SOURCE -o app "$src" $libs
		atf_check mv app bin/app
		# Without any of the variables all is as without the library.
		sane expected $base $end bin/app a 'b c' ''
		# With one and with more, odd and even, in the middle, first and
		# last, set twice, and also if start-up fails.
		net=gons_net=/proc/self/ns/net
		uts=gons_uts=/proc/self/ns/uts
		for one in "gons_net=" "gons_ipc=/no/such/ns" \
		    "gons_ipc=/no/such/ns gons_order=ipc" \
		    "gons_ipc=/no gons_mnt=/no gons_order=ipc,mnt" \
		    "$net $uts" "$net $uts gons_order=net,uts" \
		    "gons_target=never"; do
			sane expected $base $one $end bin/app a 'b c' ''
			sane expected $base $end $one bin/app a 'b c' ''
			sane expected env -i $one FIRST=1 \
			    LD_LIBRARY_PATH="$LD_LIBRARY_PATH" $end \
			    bin/app a 'b c' ''
		done
	done
}

atf_test_case children
children_head()
{
	atf_set descr "programs started later inherit namespaces, not variables"
}
children_body()
{
	needs_abi $own_cc
	needs_target
	cat >exec.c <<-'END'
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		(void)argc;
		execvp(argv[1], argv + 1);
		return 127;
	}
	END
	links $own_cc -o first exec.c $(pkg-config --libs gons)
	links $own_cc -o second "$data/h_plain.c" $(pkg-config --libs gons)
	# Who enters a mount namespace is at its root.
	starts ./first "$PWD/second"
	atf_check -o not-match:'^gons_' "$target" -e $types ./first env
}

atf_test_case onerror
onerror_head()
{
	atf_set descr "gons_onerror=exit: one line, status 125, no main"
}
onerror_body()
{
	needs_abi $own_cc
	for how in '' -static -fsanitize=address; do
		makes $how || continue
		links $own_cc $how -o app "$data/h_plain.c" \
		    $(pkg-config --libs gons)
		atf_check -s exit:125 -o empty -e save:err \
		    env gons_onerror=exit gons_net=/no/such/ns ./app
		atf_check -o inline:'gons: invalid gons_net reference "/no/such/ns": No such file or directory\n' \
		    cat err
		# Descriptors are closed afterwards: this one is stderr.
		atf_check -s exit:125 -o empty \
		    -e match:'^gons: cannot join gons_net .*"fd:2"' \
		    env gons_onerror=exit gons_net=fd:2 ./app
		# Nowhere to write to is no reason to go on.
		atf_check -s exit:125 -o empty sh -c \
		    'gons_onerror=exit gons_net=/no/such/ns ./app 2>&-'
		atf_check -o match:'^net ' env gons_onerror=exit ./app
	done
}

atf_init_test_cases()
{
	# shellcheck source=tests/support/common.sh
	. "$(atf_get_srcdir)/support/common.sh"
	for cc in gcc clang; do
		for san in $sanitizers; do
			atf_add_test_case race_${cc}_$san
		done
	done
	for tc in race_static race_preload race_lost dlopen copies \
	    copies_failed copies_later copies_gone copies_forged sane \
	    children onerror; do
		atf_add_test_case $tc
	done
}
