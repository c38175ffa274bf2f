# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2046,SC2086,SC2154
#
# Programs that are built to count what is executed: what their actions execute
# in a foreign root counts, and nothing is left there.

# count KIND: how often the action has run, as the tools for users tell.
count()
{
	case $1 in
	gcc)	gcov -t counted.c ;;
	clang)	$llvm_cov gcov -t counted.c ;;
	llvm)	$llvm_data merge -o merged *.profraw &&
		$llvm_cov show ${counting:-./app} -instr-profile=merged |
		sed 's/^[^|]*|//' ;;
	esac 2>tool | sed -n 's/#####/0/; s/^ *\([0-9]*\).*COUNTED.*/\1/p'
}

# prepare KIND COMPILER...: what all cases need, and where they count.
prepare()
{
	kind=$1
	shift
	# With its run time for coverage, which may be missing.
	needs_abi "$@"
	rm -f *.gcda *.gcno *.profraw
	needs_target user
	llvm_cov=$(command -v llvm-cov || command -v llvm-cov-14)
	llvm_data=$(command -v llvm-profdata || command -v llvm-profdata-14)
	[ $kind = gcc ] || [ -n "$llvm_cov" ] || atf_skip "there is no llvm-cov"
	[ $kind != llvm ] || [ -n "$llvm_data" ] ||
	    atf_skip "there is no llvm-profdata"
	mkdir root tmp
	export LLVM_PROFILE_FILE="$PWD/app-%m.profraw"
	unset GCOV_PREFIX GCOV_PREFIX_STRIP GONS_COVERAGE
}

# counted KIND COMPILER...: each child once, however it was started.
counted()
{
	prepare "$@"
	shift
	cat >counted.c <<-'END'
	#include <sys/mount.h>
	#include <sys/syscall.h>
	#include <sched.h>
	#include <signal.h>
	#include <stdio.h>
	#include <stdlib.h>
	#include <string.h>
	#include <unistd.h>
	#include <gons.h>

	static int
	is(const char *where)
	{
		return strcmp(getenv("WHERE"), where) == 0;
	}

	/* A read-only root without /proc. */
	static int
	pivot(void)
	{
		return unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
		    mount("root", "root", NULL, MS_BIND, NULL) == -1 ||
		    mount("none", "root", NULL,
		    MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == -1 ||
		    chdir("root") == -1 ||
		    syscall(SYS_pivot_root, ".", ".") == -1 ||
		    umount2(".", MNT_DETACH) == -1;
	}

	/* Returns: clang infers counts from how functions are left. */
	static void
	count(void)
	{
		printf("ok"); /* COUNTED */
	}

	/* Killed soon, perhaps while the counters are written. */
	static void
	die_in(int us)
	{
		pid_t pid = getpid();

		if (syscall(SYS_clone, 0, 0, 0, 0, 0) != 0)
			return;
		usleep(us);
		kill(pid, SIGKILL);
		syscall(SYS_exit_group, 0);
	}

	/* Of those who stay, only the first time. */
	static int
	go(void)
	{
		static int gone;

		if (gone++ > 0)
			return 0;
		if (is("chroot") && (unshare(CLONE_NEWUSER) == -1 ||
		    chroot("root") == -1 || chdir("/") == -1))
			return 1;
		if (is("pivot") && pivot())
			return 2;
		if (is("user") && (setgid(65534) == -1 || setuid(65534) == -1))
			return 3;
		return 0;
	}

	static int
	action(void)
	{
		int status = go();

		if (status != 0)
			return status;
		count();
		if (is("killed"))
			raise(SIGKILL);
		if (is("dying"))
			die_in(atoi(getenv("US")));
		if (is("late")) {
			fclose(stdout);
			pause();
		}
		return 0;
	}

	int
	main(int argc, char **argv)
	{
		const char *how = argc > 1 ? argv[1] : "";
		struct gons_reexec *req;
		int i;

		gons_reexec_register("action", action);
		gons_reexec_check();
		req = gons_reexec_new("action");
		gons_reexec_setgrace(req, 50);
		if (strcmp(how, "prepared") == 0)
			gons_reexec_setflags(req, GONS_REEXEC_PREPARED);
		else if (*how != '\0')
			gons_reexec_setflags(req, GONS_REEXEC_STAY);
		for (i = 0; i < 4; i++)
			if ((gons_reexec_run(req) == -1) != is("killed") &&
			    !is("dying")) {
				fprintf(stderr, "%s\n", gons_reexec_error(req));
				return 1;
			}
		/* They wait, and are ended by hand, by exit, or by free. */
		if (strcmp(how, "ended") == 0) {
			gons_reexec_end(req);
			_exit(0);
		}
		if (strcmp(how, "left") != 0)
			gons_reexec_free(req);
		return 0;
	}
	END
	places="killed chroot pivot late"
	[ "$(id -u)" -ne 0 ] || places="$places user"
	for how in '' -static; do
		links "$@" $how -D_GNU_SOURCE -c counted.c \
		    $(pkg-config --cflags gons)
		links "$@" $how -o app counted.o \
		    $(pkg-config --static --libs gons)
		for place in $places; do
			counted_at $place ''
			counted_at $place prepared
			counted_at $place staying
			counted_at $place left
			# What clang counts by itself is in the host's memory.
			[ $kind = llvm ] || counted_at $place ended
		done
		[ "$(id -u)" -ne 0 ] || counted_hostile
		counted_dying ''
		counted_dying prepared
		counted_dying staying
	done
}

# counted_dying HOW: wherever death met them, what is there can be read, and
# counts on.
counted_dying()
{
	echo "$kind, linked with ${how:-a shared library}: dying $1"
	for us in 0 200 400 600 800 1000 1300 1600 2000 2500 3000; do
		atf_check env TMPDIR="$PWD/tmp" WHERE=dying US=$us ./app $1
	done
	count $kind >got
	atf_check env TMPDIR="$PWD/tmp" WHERE= ./app $1
	n=$(cat got)
	count $kind >got
	atf_check -o inline:"$((${n:-0} + 4))\n" cat got
	atf_check -o empty find root tmp -mindepth 1
	rm -f *.gcda *.profraw
}

# counted_hostile: all of it begins where /proc is empty, or has somebody's own
# program, or a FIFO.
counted_hostile()
{
	echo "$kind, linked with ${how:-a shared library}: hostile"
	needs unshare
	cp "$(command -v env)" forged
	cat >hostile <<-'END'
		set -e
		mount --make-rprivate /
		mount -t tmpfs none /proc
		mkdir /proc/self
		case $1 in
		empty)	rmdir /proc/self;;
		forged)	cp forged /proc/self/exe;;
		fifo)	mkfifo /proc/self/exe;;
		esac
		shift
		exec "$@"
	END
	n=0
	for what in empty forged fifo; do
		for place in '' chroot; do
			for prepared in '' prepared; do
				n=$((n + 4))
				atf_check timeout 60 env TMPDIR="$PWD/tmp" \
				    WHERE=$place unshare -m \
				    sh hostile $what ./app $prepared
			done
		done
		count $kind >got
		atf_check -o inline:"$n\n" cat got
	done
	atf_check -o empty find root tmp -mindepth 1
	rm -f *.gcda *.profraw
}

# counted_at PLACE HOW: four children there, and four again; a child that is
# killed counts for nothing, and does no harm.
counted_at()
{
	echo "$kind, linked with ${how:-a shared library}: $1 $2"
	for n in 4 8; do
		[ $1 != killed ] || n=0
		atf_check env TMPDIR="$PWD/tmp" WHERE=$1 ./app $2
		count $kind >got
		atf_check -o inline:"$n\n" cat got
	done
	atf_check -o empty find root tmp -mindepth 1
	[ $1 = killed ] || rm -f *.gcda *.profraw
}

# plugged KIND COMPILER...: a shared object that the action loads, and maybe the
# host, after gons_reexec_check().
plugged()
{
	prepare "$@"
	shift
	cat >counted.c <<-'END'
	int plug(int);

	int
	plug(int n)
	{
		return n + 1; /* COUNTED */
	}
	END
	cat >app.c <<-'END'
	#include <sys/mount.h>
	#include <dlfcn.h>
	#include <sched.h>
	#include <stdio.h>
	#include <stdlib.h>
	#include <string.h>
	#include <unistd.h>
	#include <gons.h>

	static int
	is(const char *how)
	{
		return strstr(getenv("HOW"), how) != NULL;
	}

	static void *
	load(void)
	{
		void *lib = dlopen(getenv("PLUG"),
		    RTLD_NOW | (is("kept") ? RTLD_NODELETE : 0));

		if (lib != NULL)
			return lib;
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}

	static int
	go(void)
	{
		static int gone;

		if (!is("chroot") || gone++ > 0)
			return 0;
		return unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1 ||
		    (is("null") && mount("/dev/null", "root/dev/null", NULL,
		    MS_BIND, NULL) == -1) || chroot("root") == -1 ||
		    chdir("/") == -1;
	}

	static int
	action(void)
	{
		void *lib = load();
		int (*plug)(int);

		*(void **)&plug = dlsym(lib, "plug");
		if (go() != 0)
			return 2;
		printf("%d", plug(1));
		if (is("closed"))
			dlclose(lib);
		if (is("killed")) {
			fclose(stdout);
			pause();
		}
		if (is("exit"))
			exit(0);
		return 0;
	}

	int
	main(void)
	{
		struct gons_reexec *req;
		int i;

		gons_reexec_register("action", action);
		gons_reexec_check();
		if (is("both"))
			load();
		req = gons_reexec_new("action");
		gons_reexec_setgrace(req, 50);
		if (is("prepared"))
			gons_reexec_setflags(req, GONS_REEXEC_PREPARED);
		if (is("stays"))
			gons_reexec_setflags(req, GONS_REEXEC_STAY);
		if (is("null"))
			gons_reexec_setenv(req, "LLVM_PROFILE_FILE",
			    "/dev/null");
		for (i = 0; i < 3; i++)
			if (gons_reexec_run(req) == -1) {
				fprintf(stderr, "%s\n", gons_reexec_error(req));
				return 1;
			}
		gons_reexec_free(req);
		return 0;
	}
	END
	mkdir root/dev
	: >root/dev/null
	export PLUG="$PWD/plug.so"
	counting=$PLUG
	links "$@" -fPIC -c counted.c
	links "$@" -shared -o plug.so counted.o
	links "$@" -D_GNU_SOURCE -c app.c $(pkg-config --cflags gons)
	links "$@" -o app app.o $(pkg-config --libs gons) -ldl
	for who in both child; do
		plugged_by $who
		plugged_by "$who exit"
		plugged_by "$who killed"
		plugged_by "$who closed"
		plugged_by "$who prepared"
		plugged_by "$who stays"
	done
	# A module's run time goes where the caller says; what is counted does
	# not, if the host has the module, too.
	for how in both 'both exit' 'both killed' 'both prepared' 'both stays'
	do
		plugged_by "$how chroot null"
	done
	if [ $kind != llvm ]; then
		plugged_by 'child chroot'
		plugged_by 'child kept closed chroot'
	fi
	# Even where it makes a file of its own in that root.
	[ $kind != llvm ] || plugged_by 'both chroot'
}

# plugged_by HOW: three children, and three again.
plugged_by()
{
	echo "$kind: $1"
	for n in 3 6; do
		atf_check env TMPDIR="$PWD/tmp" HOW="$1" ./app
		count $kind >got
		atf_check -o inline:"$n\n" cat got
	done
	[ "$kind $1" = 'llvm both chroot' ] || atf_check \
	    -o inline:'root/dev\nroot/dev/null\n' find root tmp -mindepth 1
	atf_check test ! -s root/dev/null
	rm -f *.gcda *.profraw
}

atf_test_case gcc
gcc_head()
{
	atf_set descr 'children count once in a program of gcc --coverage'
}
gcc_body()
{
	counted gcc gcc --coverage
}

atf_test_case clang
clang_head()
{
	atf_set descr 'children count once in a program of clang --coverage'
}
clang_body()
{
	counted clang clang --coverage
}

atf_test_case llvm
llvm_head()
{
	atf_set descr 'children count once with source-based coverage of clang'
}
llvm_body()
{
	counted llvm clang -fprofile-instr-generate -fcoverage-mapping
}

atf_test_case gcc_plugin
gcc_plugin_head()
{
	atf_set descr 'shared objects of gcc --coverage that are loaded late'
}
gcc_plugin_body()
{
	plugged gcc gcc --coverage
}

atf_test_case clang_plugin
clang_plugin_head()
{
	atf_set descr 'shared objects of clang --coverage that are loaded late'
}
clang_plugin_body()
{
	plugged clang clang --coverage
}

atf_test_case llvm_plugin
llvm_plugin_head()
{
	atf_set descr 'shared objects that are loaded late, source-based'
}
llvm_plugin_body()
{
	plugged llvm clang -fprofile-instr-generate -fcoverage-mapping
}

atf_init_test_cases()
{
	# shellcheck source=tests/support/common.sh
	. "$(atf_get_srcdir)/support/common.sh"
	for tc in gcc clang llvm gcc_plugin clang_plugin llvm_plugin; do
		atf_add_test_case $tc
	done
}
