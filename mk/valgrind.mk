# SPDX-License-Identifier: BSD-2-Clause
#
# Included by tests.  VALGRIND=yes: valgrind watches the programs of tests, and
# those programs of ours that they execute.

VALGRIND?=	no
VALGRIND_LOGS=	${.OBJDIR}/valgrind
VALGRIND_RUN=	valgrind -q --trace-children=yes \
		--trace-children-skip=/bin/*,/usr/* --vgdb=no \
		--sim-hints=lax-ioctls \
		--leak-check=full --errors-for-leak-kinds=definite \
		--error-exitcode=99 --suppressions=${.CURDIR}/support/valgrind.supp \
		--log-file=${VALGRIND_LOGS}/%p

# The programs that `bmake valgrind' runs.  The switch_*_test, reexec_ns_test and
# the rest of reexec_pid_test need system calls or numbers of descriptors that
# valgrind 3.19 does not let through; reexec_odd_test executes itself in ways
# that it does not follow.  fault_test replaces functions that
# valgrind replaces, too.  Most of json_*_test starts hundreds of programs.
VALGRIND_TESTS=	envparse_test order_test status_test ${COVMERGE_TESTS} \
		${RX_TESTS:Mreexec_*:Nreexec_ns_test:Nreexec_pid_test:Nreexec_host_test:Nreexec_odd_test} \
		reexec_pid_test:pid_grandchild reexec_pid_test:pid_inside \
		reexec_pid_test:pid_signals reexec_pid_test:pid_without_init
.if ${GONS_HAVE_JSON} == "yes"
VALGRIND_TESTS+=json_end_test:duplicate_key json_end_test:empty \
		json_end_test:error_text json_result_test:expect_stays \
		json_host_test:kill_and_free json_child_test:param_is_copied
.endif

# Cases of these that it does not run.  valgrind has no pidfd_open(2), which
# prepared children need; cases with a child that stays would take twice as long
# again.
VALGRIND_NOT=	.*_prepared .*_staying pidfd_closed ends_alike \
		no_hang_for_ever lingers kill_wakes
# It has signal handlers of its own, and leaves a descriptor open to programs.
VALGRIND_NOT+=	signals descriptors how_many_descriptors standard_reference \
		closed_standard descriptors_closed private_variable
# No program is in secure-execution mode under it.
VALGRIND_NOT+=	secure secure_copies
# What comes behind the environment is not there what the kernel puts there.
VALGRIND_NOT+=	mark
# It lets no other thread of a process run while one waits in F_OFD_SETLKW: the
# thread that has the lock waits for the thread that wants it.
VALGRIND_NOT+=	concurrent
# It starts and ends more slowly than these cases wait.
VALGRIND_NOT+=	endless_stderr grace grace_deaf precedence reply_cut \
		silent_for_ever
# It takes minutes for much data or many processes, and for compilers.
VALGRIND_NOT+=	large_results text_hostile cover_refused many_threads_ask \
		concurrent_libgcov glue_.* gcov_tool gcc_.* clang_runtime pgo
# It takes memory for lost that a forked child of the test does not look at.
VALGRIND_NOT+=	tree_together
# It ends the process when it gets no memory itself.
VALGRIND_NOT+=	no_memory
