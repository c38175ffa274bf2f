# SPDX-License-Identifier: BSD-2-Clause
#
# Programs with actions: linked in each way, started from files that change,
# with variables of their own or somebody else's, and without leaks.

# What the library was built to find errors with, its programs are, too.
sanitize=
[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
	sanitize=-fsanitize=$GONS_TEST_SANITIZE

# app ARGUMENT...: makes ./app
app()
{
	needs pkg-config
	links ${own_cc} $sanitize -D_GNU_SOURCE -o app "$data/h_reexec.c" "$@"
}

# statically ARGUMENT...: the same, or skips if there is no such libc
statically()
{
	needs pkg-config
	${own_cc} $sanitize -D_GNU_SOURCE -o app "$data/h_reexec.c" "$@" \
	    $(pkg-config --cflags --static --libs gons) 2>why ||
		atf_skip "no static program: $(head -n 1 why)"
}

atf_test_case shared
shared_head()
{
	atf_set descr "with the shared library"
}
shared_body()
{
	app $(pkg-config --cflags --libs gons)
	atf_check -o inline:'ok\n' ./app all 3
}

atf_test_case static
static_head()
{
	atf_set descr "static, and in an empty root directory"
}
static_body()
{
	for how in -static -static-pie; do
		statically $how
		atf_check -o inline:'ok\n' ./app all
		mkdir -p empty
		[ "$(id -u)" -ne 0 ] ||
			atf_check -o inline:'ok\n' ./app chroot empty
	done
}

atf_test_case replaced
replaced_head()
{
	atf_set descr "the file is deleted, replaced, or not readable"
}
replaced_body()
{
	app "$stage/lib/gons/autostart.o" "$stage/lib/gons/libgons.a" \
	    $(pkg-config --cflags gons)
	for how in delete replace; do
		cp app copy
		atf_check -o inline:'ok\n' ./copy $how copy
	done
	cp app copy
	chmod 111 copy
	atf_check -o inline:'ok\n' ./copy all
	if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
		chmod 755 .
		atf_check -o inline:'ok\n' setpriv --reuid 65534 \
		    --regid 65534 --clear-groups ./copy all
	fi
}

atf_test_case variables
variables_head()
{
	atf_set descr "the parent's gons_ variables are not the child's"
}
variables_body()
{
	app $(pkg-config --cflags --libs gons)
	cat >expected <<-END
	RX_SET=by request
	RX_OWN=here
	in the parent
	RX_OWN=here
	status -
	ok
	END
	atf_check -o file:expected env RX_OWN=here gons_order=net,uts \
	    gons_onerror=exit ./app env
	sed 's/^status.*/gons_mine=kept\nstatus gons: invalid gons_net reference "\/no\/such": No such file or directory/' \
	    expected >other
	atf_check -o file:other env RX_OWN=here gons_net=/no/such \
	    gons_mine=kept ./app env
}

atf_test_case by_hand
by_hand_head()
{
	atf_set descr "nobody else starts an action"
}
by_hand_body()
{
	app $(pkg-config --cflags --libs gons)
	for value in answer : 0:3,,,,:answer 0:3,,,,,,:answer \
	    0:,,,,,,:answer 0:0,,,,,,:answer 0:99999999999,,,,,,:answer \
	    1073741824:0,,,,,0,:answer; do
		atf_check -s exit:1 -o empty -e match:'^gons: .*private' \
		    env gons_reexec_action="$value" ./app all </dev/null
	done
	# An empty value is none.
	atf_check -o inline:'ok\n' env gons_reexec_action= ./app all
}

atf_test_case runaction
runaction_head()
{
	atf_set descr "gons_reexec_runaction leaves the end to the program"
}
runaction_body()
{
	app $(pkg-config --cflags --libs gons)
	atf_check -o inline:'ok\n' -e inline:'what a pity\n' \
	    env RX_RUNACTION=1 ./app runaction
}

atf_test_case copies
copies_head()
{
	atf_set descr "another copy has consumed the variables: no recursion"
}
copies_body()
{
	[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
	    atf_skip "the sanitizer's run time is what is initialised first"
	app "$stage/lib/gons/autostart.o" "$stage/lib/gons/libgons.a" \
	    $(pkg-config --cflags gons)
	atf_check -s exit:1 -e match:'action "answer": .*another copy' \
	    env LD_PRELOAD="$stage/lib/libgons.so.0" ./app all
}

atf_test_case leaks
leaks_head()
{
	atf_set descr "no memory is lost, whatever becomes of a request"
	atf_set timeout 600
}
leaks_body()
{
	san=${GONS_TEST_SANITIZE:-no}
	case $san in
	*address*) ;;
	*) san=address;;
	esac
	needs pkg-config
	if ${own_cc} -fsanitize=$san -g -D_GNU_SOURCE -o app \
	    "$data/h_reexec.c" $(pkg-config --cflags --libs gons) 2>why; then
		atf_check -o inline:'ok\n' env ASAN_OPTIONS=detect_leaks=1 \
		    ./app all 3
	else
		atf_skip "no program with -fsanitize=$san: $(head -n 1 why)"
	fi
}

# It is told errors of another kind, but knows no prepared children: they need
# pidfd_open(2).
atf_test_case valgrind
valgrind_head()
{
	atf_set descr "the same, seen by valgrind"
}
valgrind_body()
{
	[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
		atf_skip "the library is built with -fsanitize"
	needs valgrind
	app -g $(pkg-config --cflags --libs gons)
	atf_check -o inline:'ok\n' -e save:said valgrind -q --leak-check=full \
	    --show-leak-kinds=definite,indirect --error-exitcode=9 \
	    --errors-for-leak-kinds=definite,indirect ./app fresh
	# It says that it does not know a system call, and that is all.
	atf_check -s exit:1 grep -e '^==' said
}

atf_test_case loader
loader_head()
{
	atf_set descr "started through the dynamic linker, it says so"
}
loader_body()
{
	needs readelf
	links ${own_cc} $sanitize -D_GNU_SOURCE -o app "$data/h_where.c" \
	    -pthread $(pkg-config --cflags --libs gons)
	linker=$(readelf -l app | sed -n 's/.*interpreter: \(.*\)]/\1/p')
	[ -n "$linker" ] || atf_skip "the program is static"
	atf_check -o match:'^0 gons: .*the dynamic linker was started with' \
	    "$linker" ./app
}

# Start-up joins a mount namespace in which nothing of the host's is executed.
atf_test_case elsewhere
elsewhere_head()
{
	atf_set descr "in a container's root the host's program runs"
	atf_set require.user root
}
elsewhere_body()
{
	needs unshare
	links ${own_cc} $sanitize -D_GNU_SOURCE -o app "$data/h_where.c" \
	    -pthread $(pkg-config --cflags --libs gons)
	cat >container <<-'END'
		set -e
		mount --make-rprivate /
		interpreter=$(readelf -l "$1" |
		    sed -n 's/.*interpreter: \(.*\)]/\1/p')
		interpreter=$(readlink -f "$interpreter")
		mount -t tmpfs none /proc
		mkdir -p /proc/self
		mkfifo /proc/self/exe
		# The last that is executed here.
		mount --bind hostile "$interpreter"
		echo ready
		read -r _ || :
	END
	cat >hostile.c <<-END
		#include <fcntl.h>
		int
		main(void)
		{
			return creat("$PWD/mark", 0666) == -1;
		}
	END
	${own_cc} -static -o hostile hostile.c ||
		atf_skip "no static programs can be made"
	mkfifo life said
	unshare -m sh container "$PWD/app" <life >said &
	exec 3>life
	read -r line <said
	[ "$line" = ready ] || atf_skip "no such container can be made"
	ns=/proc/$!/ns/mnt
	atf_check -o inline:'fresh\nprepared\n' timeout 60 \
	    env "gons_mnt=$ns" ./app
	atf_check -o match:'^1 .*another root$' timeout 60 \
	    env "gons_mnt=$ns" ./app killed
	atf_check -o inline:'Operation not permitted\nfresh\nprepared\n' timeout 60 \
	    env "gons_mnt=$ns" ./app setargs
	# No process is forked off beside a thread.
	why='.*there were several threads in gons_reexec_check()'
	atf_check -o match:"^1 gons: $why" -o not-match:fresh timeout 60 \
	    env "gons_mnt=$ns" ./app threads
	[ ! -e mark ] || atf_fail "the container's program ran"
	exec 3>&-
	wait
}

atf_init_test_cases()
{
	. "$(atf_get_srcdir)/support/common.sh"
	for tc in shared static replaced variables by_hand runaction copies \
	    loader elsewhere leaks valgrind; do
		atf_add_test_case $tc
	done
}
