/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_coverage(7), "How it works": children that count, by gcc, clang and
 * llvm, and where their data goes.
 */

#include <sys/stat.h>

#include <atf-c.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "merge.h"

/*
 * Children
 */

static char top[2048];

static int
is_top(const char *dir, const char *below)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s%s/lib/covmerge.c", dir, below);
	if (access(path, R_OK) != 0)
		return (0);
	(void)snprintf(path, sizeof(path), "%s%s", dir, below);
	ATF_REQUIRE(strlen(path) < sizeof(top));
	(void)strcpy(top, path);
	return (1);
}

/* The tests compile covmerge.o and covglue.c: where are the sources? */
static void
find_top(const atf_tc_t *tc)
{
	const char *dir;

	dir = getenv("GONS_TEST_SRC");
	if (dir != NULL && is_top(dir, ""))
		return;
	dir = atf_tc_get_config_var_wd(tc, "srcdir", ".");
	if (!is_top(dir, "/..") && !is_top(dir, "/../.."))
		atf_tc_fail(
		    "no lib/covmerge.c above %s; set GONS_TEST_SRC", dir);
}

/*
 * A script that builds the program in the working directory, and defines
 * run, which runs it and fails if it has written anything, and counts, which
 * prints how often action, instrumented shared library, and parent ran.
 */
static const char script[] =
    "set -e; kind=$1 lib=$2 top=$3; umask 022\n"
    "flags=\"-D_GNU_SOURCE -I$top/include -fPIC -g\"\n"
    "mkdir -p build root tmp inc; chmod 755 . root; export TMPDIR=$PWD/tmp\n"
    "cov=$(command -v llvm-cov || echo llvm-cov-14)\n"
    "data=$(command -v llvm-profdata || echo llvm-profdata-14)\n"
    "case $kind in\n"
    "gcc) cc='gcc --coverage' gcov='gcov -t';;\n"
    "clang) cc='clang --coverage' gcov=\"$cov gcov -t\";;\n"
    "llvm) cc='clang -fprofile-instr-generate -fcoverage-mapping';;\n"
    "esac\n"
    "unset GCOV_PREFIX GCOV_PREFIX_STRIP GONS_COVERAGE\n"
    "export LLVM_PROFILE_FILE=$PWD/p-%m.profraw\n"
    "sed 's/\"hidden\"/\"default\"/' $top/lib/internal.h >inc/internal.h\n"
    "cp $top/lib/covmerge*.[ch] $top/lib/util.h $top/tests/data/covglue.c inc\n"
    "echo 'int covglue_lib(void); int covglue_lib(void)' >inc/x.c\n"
    "echo '{ return (5); /* COUNT-LIB */ }' >>inc/x.c\n"
    "mkdir -p parts; (cd parts; gcc $flags -O1 -c ../inc/covmerge*.c\n"
    "gcc -r -nostdlib *.o -o ../build/covmerge.o); cd build\n"
    "if [ $lib = so ]; then\n"
    "  gcc -shared -Wl,-z,defs -Wl,-z,initfirst covmerge.o -o libglue.so\n"
    "  glue=\"$PWD/libglue.so -Wl,-rpath,$PWD\"\n"
    "else glue=$PWD/covmerge.o; fi\n"
    "case $GONS_TEST_COVERAGE$lib$kind in\n"
    "yesagcc) glue=$GONS_TEST_OBJ/lib/covmerge.o;;\n"
    "yesallvm) glue=$GONS_TEST_OBJ/lib/covmerge.o\n"
    "  glue=\"$glue $(gcc -print-file-name=libgcov.a)\";;\n"
    "esac\n"
    "$cc $flags -c ../inc/x.c -o x.o; $cc -shared x.o -o libx.so\n"
    "$cc $flags -I../inc -DCOVGLUE_LIB -c ../inc/covglue.c -o covglue.o\n"
    "$cc covglue.o $PWD/libx.so $glue -o covglue; cd ..\n"
    "run() { want=$1; shift; s=0\n"
    "  build/covglue \"$@\" >err 2>&1 || s=$?\n"
    "  test $s = $want && test ! -s err && return 0\n"
    "  echo \"status $s, $want wanted: $*\"; cat err; return 1; }\n"
    "counts() { rm -f p; case $kind in\n"
    "  llvm) $data merge *.profraw -o p\n"
    "    $cov show build/covglue -object build/libx.so "
    "-instr-profile=p | sed 's/^[^|]*|//';;\n"
    "  *) (cd build; $gcov *.gcda 2>/dev/null);;\n"
    "  esac | grep COUNT- >p.txt\n"
    "  for w in ACTION LIB PARENT; do\n"
    "    n=$(grep COUNT-$w p.txt | sed 's/^ *\\([0-9]*\\).*/\\1/')\n"
    "    printf '%s ' ${n:-0}; done; echo; }\n"
    "clean() { rm -f build/*.gcda *.profraw; }\n"
    "expect() { c=$(counts); test \"$c\" = \"$1 \" && return 0\n"
    "  echo \"counts: $c, expected: $1\"; return 1; }\n"
    "nothing() { test -z \"$(ls -A tmp)\" && test -z \"$(ls -A root)\" "
    "&& return 0; ls -lR tmp root; return 1; }\n";

/* Skips the case if such programs cannot be made, or not be read. */
static void
needs_kind(const char *kind)
{
	if (strcmp(kind, "gcc") == 0)
		return;
	NEEDS_CLANG;
	needs("command -v llvm-cov || command -v llvm-cov-14", "llvm-cov");
	if (strcmp(kind, "llvm") == 0) {
		needs("command -v llvm-profdata || "
		      "command -v llvm-profdata-14",
		    "llvm-profdata");
	}
}

static void
glue(const atf_tc_t *tc, const char *kind, const char *lib, const char *body)
{
	char *text;
	size_t len;

	needs_kind(kind);
	if (strstr(body, "userns") != NULL)
		needs("unshare -U true", "user namespace");
	find_top(tc);
	len = sizeof(script) + strlen(body);
	ATF_REQUIRE((text = malloc(len)) != NULL);
	(void)snprintf(text, len, "%s%s", script, body);
	put_text("glue.sh", text);
	free(text);
	shell("sh glue.sh %s %s %s", kind, lib, top);
}

static const char everywhere[] =
    "run 0 4 plain; expect '4 4 4'; nothing; clean\n"
    "run 0 4 hide $PWD/build; expect '4 4 4'; nothing; clean\n"
    "run 0 4 pivot $PWD/root; expect '4 4 4'; nothing; clean\n"
    "run 0 4 pivot-ro $PWD/root; expect '4 4 4'; nothing; clean\n"
    "run 0 4 userns; expect '4 4 4'; nothing; clean\n"
    "run 143 4 term; expect '4 4 4'; nothing; clean\n"
    "run 143 4 term <&-; expect '4 4 4'; nothing; clean\n"
    "run 137 4 kill; expect '0 0 4'; nothing; clean\n"
    "run 0 4 fork; expect '4 4 5'; nothing; clean\n"
    "run 0 2 fsize; nothing; clean\n"
    "run 0 4 fewfiles; expect '4 4 4'; nothing; clean\n"
    "run 0 2 nofile; nothing\n"
    "if [ $kind = llvm ]; then expect '2 2 2'; else expect '0 0 2'; fi; clean\n"
    "if [ $(id -u) = 0 ]; then\n"
    "run 0 4 chroot $PWD/root; expect '4 4 4'; nothing; clean\n"
    "run 0 4 setuid; expect '4 4 4'; nothing; clean\n"
    "run 0 4 close $PWD/root; expect '0 0 4'; nothing; clean\n"
    "run 0 4 close $PWD/root <&-; expect '0 0 4'; nothing; clean\n"
    "fi\n";

#define GLUE_AT(name, kind, lib, where)     \
	ATF_TC_WITHOUT_HEAD(name);          \
	ATF_TC_BODY(name, tc)               \
	{                                   \
		glue(tc, kind, lib, where); \
	}
#define GLUE(name, kind, lib) GLUE_AT(name, kind, lib, everywhere)

GLUE(glue_gcc_archive, "gcc", "a")
GLUE(glue_gcc_shared, "gcc", "so")
GLUE(glue_clang_archive, "clang", "a")
GLUE(glue_clang_shared, "clang", "so")
GLUE(glue_llvm_archive, "llvm", "a")
GLUE(glue_llvm_shared, "llvm", "so")

/* An ordinary user's processes, and children of another user id. */
ATF_TC_WITH_CLEANUP(glue_unprivileged);
ATF_TC_HEAD(glue_unprivileged, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(glue_unprivileged, tc)
{
	static const char body[] =
	    "chown -R 65533 . ; rm -rf tmp; mkdir -m 1777 tmp\n"
	    "cat >u.sh <<'!'\n"
	    "cd \"$1\"; exec setpriv --reuid 65533 --regid 65533 "
	    "--clear-groups build/covglue 3 $2 $3\n!\n"
	    "mkfifo -m 666 ready; setpriv --reuid 65533 --regid 65533 --clear-groups "
	    "unshare -U sh -c 'echo >ready; exec sleep 100' & p=$!\n"
	    "trap 'kill $p' EXIT; timeout 20 cat ready\n"
	    "echo '0 65532 1' >/proc/$p/uid_map\n"
	    "echo '0 65532 1' >/proc/$p/gid_map\n"
	    "for w in plain 'hide '$PWD/build 'pivot '$PWD/root userns term "
	    "'join '/proc/$p/ns/user; do\n"
	    "  s=0; sh u.sh $PWD $w 2>err || s=$?\n"
	    "  case $w in term) test $s = 143;; *) test $s = 0;; esac\n"
	    "  cat err; test ! -s err; expect '3 3 3'; nothing; clean; done\n";
	static const char *const kinds[] = { "gcc", "clang", "llvm" };
	char dir[] = "/tmp/gons-covtest.XXXXXX";
	size_t i;

	/* Not in kyua's work directory, which lets nobody else in. */
	needs_kind("llvm");
	needs("setpriv --reuid 65533 --regid 65533 --clear-groups "
	      "unshare -U true",
	    "user namespace for others");
	find_top(tc);
	ATF_REQUIRE(mkdtemp(dir) != NULL);
	put_text("keep", dir);
	ATF_REQUIRE_EQ(0, chmod(dir, 0755));
	for (i = 0; i < 3; i++) {
		put_text("body", body);
		put_text("script", script);
		shell(
		    "cat script body >%s/glue.sh; cd %s && sh glue.sh %s so %s "
		    "&& rm -rf %s/*",
		    dir, dir, kinds[i], top, dir);
	}
}
ATF_TC_CLEANUP(glue_unprivileged, tc)
{
	(void)tc;
	if (system("test ! -f keep || rm -rf \"$(cat keep)\"") != 0)
		(void)fprintf(stderr, "cannot clean up\n");
}

/* Where the parent's own data goes, the children's goes too. */
static const char home[] =
    "strip=$(pwd | tr -cd / | wc -c)\n"
    "export GCOV_PREFIX=$PWD/pre/deep; run 0 2 pivot $PWD/root; nothing\n"
    "cp $(find pre -name '*.gcda') build; expect '2 2 2'; clean\n"
    "export GCOV_PREFIX_STRIP=$strip; run 0 2 pivot $PWD/root; nothing\n"
    "cp pre/deep/build/*.gcda build; expect '2 2 2'; clean\n"
    "rm -r pre; GCOV_PREFIX=pre/rel; run 0 3 pivot $PWD/root\n"
    "cp pre/rel/build/*.gcda build; expect '3 3 3'; clean; rm -r pre\n"
    "GCOV_PREFIX_STRIP=99; run 0 3 plain\n"
    "cp pre/rel/*.gcda build; expect '3 3 3'; clean\n";

ATF_TC_WITHOUT_HEAD(glue_prefix_gcc);
ATF_TC_BODY(glue_prefix_gcc, tc)
{
	glue(tc, "gcc", "so", home);
}

ATF_TC_WITHOUT_HEAD(glue_prefix_clang);
ATF_TC_BODY(glue_prefix_clang, tc)
{
	glue(tc, "clang", "a", home);
}

/* What an older build, or a kill, has left there. */
ATF_TC_WITHOUT_HEAD(glue_stale);
ATF_TC_BODY(glue_stale, tc)
{
	glue(tc, "gcc", "a",
	    "run 0 1 plain; cp build/covglue.gcda good; clean\n"
	    "cp good bad; printf 'xxxx' | "
	    "dd of=bad bs=1 seek=12 conv=notrunc 2>/dev/null\n"
	    "cp bad build/covglue.gcda; run 0 3 plain; expect '3 3 3'\n"
	    "n=$(stat -c %s good); for i in 4 20 $((n - 4)); do clean\n"
	    "head -c $i good >build/covglue.gcda; run 0 3 plain\n"
	    "expect '3 3 3'; done; nothing\n");
}

/* Off, or nothing to collect: nothing happens. */
static const char off[] =
    "test \"$(build/covglue 1 active)\" = 1\n"
    "test \"$(GONS_COVERAGE=0 build/covglue 1 active)\" = 0\n"
    "gcc $flags -Iinc inc/covglue.c build/covmerge.o -o none\n"
    "gcc $flags -Iinc -c inc/covglue.c -o none.o\n"
    "gcc -static none.o build/covmerge.o -o none-static\n"
    "test \"$(./none 1 active)\" = 0\n"
    "test \"$(./none-static 1 active)\" = 0; nothing\n"
    "$cc $flags -Iinc -c inc/covglue.c -o build/covglue.o\n"
    "clean; $cc -static build/covglue.o build/covmerge.o "
    "-o build/covglue\n"
    "run 0 2 pivot $PWD/root; nothing; c=$(counts 2>/dev/null || :)\n";

GLUE_AT(glue_off_gcc, "gcc", "a", off)
GLUE_AT(glue_off_llvm, "llvm", "a", off)

/*
 * The host has gone to a foreign root, before the children start: nothing of
 * it is used, and what they count still comes home.
 */
static const char abroad[] = "export COVGLUE_ROOT=$PWD/root\n"
			     "run 0 4 plain; expect '4 4 4'; nothing; clean\n"
			     "run 143 4 term; expect '4 4 4'; nothing; clean\n"
			     "run 0 4 fork; expect '4 4 5'; nothing\n";

GLUE_AT(glue_abroad_gcc, "gcc", "so", abroad)
GLUE_AT(glue_abroad_clang, "clang", "a", abroad)
GLUE_AT(glue_abroad_llvm, "llvm", "so", abroad)

/* A shared library that was loaded after the program had looked at itself. */
static const char late[] =
    "cd build; $cc $flags -I../inc -DCOVGLUE_LIB -DCOVGLUE_LATE "
    "-c ../inc/covglue.c -o covglue.o\n"
    "$cc covglue.o $glue -Wl,-rpath,$PWD -ldl -o covglue; cd ..\n"
    "run 0 3 plain; expect '3 3 3'; nothing; clean\n"
    "run 0 2 pivot $PWD/root; expect '2 2 2'; nothing\n";

GLUE_AT(glue_late_gcc, "gcc", "a", late)
GLUE_AT(glue_late_llvm, "llvm", "a", late)

/*
 * In that root is a program that says where the parent counts, or a FIFO that
 * would stop whoever opens it.
 */
static const char forged[] =
    "gcc $flags -Iinc -DVICTIM inc/covglue.c build/covmerge.o -o none\n"
    "mkdir -p root/proc/self root/tmp; export COVGLUE_ROOT=$PWD/root\n"
    "objcopy --rename-section victims=__llvm_prf_cnts "
    "--rename-section victimn=__llvm_prf_names none root/proc/self/exe\n"
    "timeout 20 ./none 2 plain\n"
    "build/covglue 2 plain; expect '2 2 2'; clean\n"
    "rm root/proc/self/exe; mkfifo root/proc/self/exe\n"
    "timeout 20 ./none 2 plain\n"
    "timeout 20 build/covglue 2 plain; expect '2 2 2'; clean\n"
    "rm -r root/proc; rmdir root/tmp; nothing\n";

GLUE_AT(glue_forged, "llvm", "a", forged)

/* The host's own files stay locked: a second for all of them, no more. */
static const char held[] =
    "cat >hold.c <<'!'\n"
    "#include <fcntl.h>\n#include <stdio.h>\n#include <unistd.h>\n"
    "int main(int n, char **file)\n{\n"
    "struct flock fl = { .l_type = F_WRLCK };\n"
    "while (--n > 0)\n"
    "if (fcntl(open(*++file, O_RDWR), F_SETLK, &fl) != 0)\nreturn 1;\n"
    "puts(\"held\"); fflush(stdout); return getchar() != EOF;\n}\n!\n"
    "gcc $flags hold.c -o hold; run 0 1 plain; mkfifo go held\n"
    "./hold build/*.gcda <go >held & p=$!; exec 3>go; read x <held\n"
    "export COVGLUE_QUIT=; t=$(date +%s%N); run 0 1 plain\n"
    "t=$((($(date +%s%N) - t) / 1000000)); exec 3>&-; wait $p\n"
    "test $(ls build/*.gcda | wc -l) = 2; echo \"$t ms\"\n"
    "test $t -ge 800; test $t -lt 4000; expect '1 1 1'; nothing\n";

GLUE_AT(glue_held, "gcc", "a", held)

/* Versions of gcc that are not known: found out, or refused. */
static const char versions[] =
    "for kinds in 2 3 8 11 17 32; do for sum in '' -DCHECKSUM; do\n"
    "gcc $flags -Iinc -DKINDS=$kinds $sum $top/tests/covgcov.c "
    "build/covmerge.o -o gcov; ./gcov; done; done\n";

GLUE_AT(glue_gcc_unknown, "gcc", "a", versions)

/* Directories of clang's are opened to all, and no others. */
static const char modes[] =
    "gcc $flags -Iinc $top/tests/covclang.c build/covmerge.o -o clang\n"
    "chmod 750 tmp; ./clang; nothing\n";

GLUE_AT(glue_clang_modes, "gcc", "a", modes)

/* A parent that was killed: the next one cleans up after it. */
ATF_TC_WITHOUT_HEAD(glue_parent_killed);
ATF_TC_BODY(glue_parent_killed, tc)
{
	glue(tc, "gcc", "a",
	    "(build/covglue 1 die 2>&1 || echo $? >status) | cat >err\n"
	    "test $(cat status) = 137\n"
	    "test -n \"$(ls -A tmp)\"; clean\n"
	    "run 0 2 plain; expect '2 2 2'; nothing\n");
}

/* Several parents, several children each, one file. */
ATF_TC(glue_concurrent);
ATF_TC_HEAD(glue_concurrent, tc)
{
	atf_tc_set_md_var(tc, "timeout", "120");
}
ATF_TC_BODY(glue_concurrent, tc)
{
	glue(tc, "gcc", "a",
	    "for i in 1 2 3 4; do build/covglue 50 plain 2>>errs & done; wait\n"
	    "test ! -s errs; expect '200 200 200'; nothing\n");
}

/* One .profraw, whoever was killed. */
ATF_TC_WITHOUT_HEAD(glue_llvm_one);
ATF_TC_BODY(glue_llvm_one, tc)
{
	glue(tc, "llvm", "a",
	    "$cc $flags -Iinc inc/covglue.c build/covmerge.o -o build/covglue\n"
	    "unset LLVM_PROFILE_FILE; cp build/covglue build/libx.so\n"
	    "run 0 10 pivot $PWD/root; nothing\n"
	    "test \"$(ls *.profraw)\" = default.profraw\n"
	    "counts >c; read a x < c; test $a = 10; clean\n"
	    "run 137 1 kill; nothing; test \"$(ls *.profraw)\" = "
	    "default.profraw; counts >c; read a x < c; test $a = 0; clean\n"
	    "export LLVM_PROFILE_FILE=$PWD/p-%m.profraw\n"
	    "run 0 9 pivot $PWD/root; run 137 1 kill; nothing\n"
	    "test $(ls *.profraw | wc -l) = 1; expect '9 0 10'\n");
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, glue_gcc_archive);
	ATF_TP_ADD_TC(tp, glue_gcc_shared);
	ATF_TP_ADD_TC(tp, glue_clang_archive);
	ATF_TP_ADD_TC(tp, glue_clang_shared);
	ATF_TP_ADD_TC(tp, glue_llvm_archive);
	ATF_TP_ADD_TC(tp, glue_llvm_shared);
	ATF_TP_ADD_TC(tp, glue_unprivileged);
	ATF_TP_ADD_TC(tp, glue_prefix_gcc);
	ATF_TP_ADD_TC(tp, glue_prefix_clang);
	ATF_TP_ADD_TC(tp, glue_stale);
	ATF_TP_ADD_TC(tp, glue_off_gcc);
	ATF_TP_ADD_TC(tp, glue_off_llvm);
	ATF_TP_ADD_TC(tp, glue_abroad_gcc);
	ATF_TP_ADD_TC(tp, glue_abroad_clang);
	ATF_TP_ADD_TC(tp, glue_abroad_llvm);
	ATF_TP_ADD_TC(tp, glue_late_gcc);
	ATF_TP_ADD_TC(tp, glue_late_llvm);
	ATF_TP_ADD_TC(tp, glue_forged);
	ATF_TP_ADD_TC(tp, glue_held);
	ATF_TP_ADD_TC(tp, glue_gcc_unknown);
	ATF_TP_ADD_TC(tp, glue_clang_modes);
	ATF_TP_ADD_TC(tp, glue_parent_killed);
	ATF_TP_ADD_TC(tp, glue_concurrent);
	ATF_TP_ADD_TC(tp, glue_llvm_one);
	return (atf_no_error());
}
