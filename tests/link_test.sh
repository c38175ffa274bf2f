# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2015,SC2046,SC2086,SC2094,SC2119,SC2154
#
# A program that never names libgons is linked with what pkg-config says, in
# every way in which programs are linked, and starts where its environment
# tells.

# modes CC CXX LINKER: all ways in which this pair can link.
modes()
{
	needs_abi "$1" "-fuse-ld=$3"
	needs pkg-config
	needs_target
	ld=-fuse-ld=$3
	src=$data/h_plain.c
	libs=$(pkg-config --cflags --libs gons)
	static=$(pkg-config --static --cflags --libs gons)
	gc='-ffunction-sections -fdata-sections -Wl,--gc-sections'

	mode "$1" $ld "$src" $libs
	readelf -d app | grep -q 'NEEDED.*libgons\.so\.0' ||
	    atf_fail "not linked with the shared library"
	mode "$1" $ld $gc "$src" $libs
	mode "$1" $ld -Wl,--as-needed "$src" $libs
	# A reference from what is not kept does not count as a need.
	mode "$1" $ld $gc -Wl,--as-needed "$src" $libs
	mode "$1" $ld -no-pie -fno-pie "$src" $libs
	mode "$1" $ld --static "$src" $static
	! readelf -d app | grep NEEDED || atf_fail "not static"
	mode "$1" $ld -static "$src" $libs
	mode "$1" $ld -static $gc "$src" $libs
	[ "$3" = bfd ] || mode "$1" $ld -static $gc -Wl,--icf=all "$src" $libs
	# gold makes no static programs that are position independent.
	if [ "$3" != gold ]; then
		mode "$1" $ld -static-pie -fPIE "$src" $libs
		mode "$1" $ld -static-pie -fPIE $gc "$src" $libs
	fi
	# lld does not read the intermediate code of gcc.
	lto=-flto
	[ "$1-$3" != gcc-lld ] || lto='-flto -ffat-lto-objects'
	mode "$1" $ld -O2 $lto "$src" $libs
	mode "$1" $ld -O2 $lto -static $gc "$src" $libs
	mode "$1" $ld -O2 -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
	    -fcf-protection -Wl,-z,relro,-z,now -Wl,-z,defs "$src" $libs
	if command -v "$2"; then
		# Not -x c++, for clang warns of the -x none behind it.
		cp "$src" plain.cc
		mode "$2" $ld plain.cc $libs
		mode "$2" $ld -static $gc plain.cc $libs
	fi
}

mode()
{
	echo "$*" # what fails is the last one printed
	links "$@" -o app
	starts ./app
}

for cc in gcc clang; do
	cxx=g++
	[ $cc = gcc ] || cxx=clang++
	for ld in bfd gold lld mold; do
		atf_test_case ${cc}_$ld
		eval "${cc}_${ld}_head() {
			atf_set descr '$cc with the linker $ld'
			atf_set require.progs '$cc ld.$ld'
		}
		${cc}_${ld}_body() { modes $cc $cxx $ld; }"
	done
done
atf_test_case own_compiler
own_compiler_head()
{
	atf_set descr "the compiler that the library was built with"
}
own_compiler_body()
{
	set -- $own_cc
	needs_abi "$@"
	needs_target
	src=$data/h_plain.c
	libs=$(pkg-config --cflags --libs gons)
	mode "$@" "$src" $libs
	mode "$@" -Wl,--as-needed "$src" $libs
	mode "$@" -static "$src" $libs
	mode "$@" -static -ffunction-sections -Wl,--gc-sections "$src" $libs
}

# Some sanitizers make the linker warn; and each has code of its own that runs
# before the library's, or cannot be called yet when that runs.
sanitizers()
{
	needs_abi "$1"
	needs_target
	src=$data/h_plain.c
	libs=$(pkg-config --cflags --libs gons)
	plain=$(pkg-config --cflags gons)
	for san in address undefined thread address,undefined; do
		echo 'int main(void) { return 0; }' >san.c
		"$1" -fsanitize=$san -o san san.c 2>why ||
		    atf_skip "no -fsanitize=$san: $(head -n 1 why)"
		for ld in bfd gold lld mold; do
			command -v ld.$ld || continue
			echo "$san with $ld"
			rm -f app
			atf_check -e ignore "$1" -fuse-ld=$ld -fsanitize=$san \
			    -g -o app "$src" $libs
			starts ./app
		done
		# The same with the library inside.
		mode "$1" -fsanitize=$san $plain "$src" "$stage/lib/libgons.a"
		links "$1" -fsanitize=$san -o app "$src"
		atf_check -o save:got "$target" -e -w want $types \
		    env LD_PRELOAD="$stage/lib/libgons.so.0" \
		    ASAN_OPTIONS=verify_asan_link_order=0 ./app
		atf_check -o file:want cat got
	done
}

atf_test_case sanitizers_gcc
sanitizers_gcc_head()
{
	atf_set descr "programs with sanitizers, gcc"
	atf_set require.progs gcc
}
sanitizers_gcc_body()
{
	sanitizers gcc
}

atf_test_case sanitizers_clang
sanitizers_clang_head()
{
	atf_set descr "programs with sanitizers, clang"
	atf_set require.progs clang
}
sanitizers_clang_body()
{
	sanitizers clang
}

atf_test_case preload
preload_head()
{
	atf_set descr "LD_PRELOAD, for programs linked without the library"
}
preload_body()
{
	needs_abi gcc
	needs_target
	so=$stage/lib/libgons.so.0
	links gcc -o plain "$data/h_plain.c"
	starts env LD_PRELOAD="$so" ./plain
	# By its name alone, found in the search path.
	starts env LD_PRELOAD=libgons.so.0 ./plain
	# For programs of the system, too.
	if [ "$(abi "$(command -v readlink)")" = "$(abi "$so")" ]; then
		atf_check -o save:got "$target" -e -w want mnt,user \
		    env LD_PRELOAD="$so" readlink /proc/self/ns/mnt \
		    /proc/self/ns/user
		atf_check -o file:got sed 's/.* //' want
	fi
	# For those that have it already: nothing happens twice.
	links gcc -o app "$data/h_plain.c" $(pkg-config --libs gons)
	starts env LD_PRELOAD="$so" ./app
	links gcc -o app "$data/h_plain.c" "$stage/lib/libgons.a"
	starts env LD_PRELOAD="$so" ./app
}

atf_test_case through_library
through_library_head()
{
	atf_set descr "a program whose library uses libgons"
}
through_library_body()
{
	needs_abi gcc
	needs_target
	links gcc -shared -fPIC -Wl,-z,defs -o libuser.so "$data/h_user.c" \
	    $(pkg-config --cflags --libs gons)
	links gcc -o app "$data/h_plain.c" -Wl,--no-as-needed -L. -luser
	starts env LD_LIBRARY_PATH=".:$stage/lib" ./app

	# The consumer's archive, static and shared.
	links gcc -c $(pkg-config --cflags gons) "$data/h_user.c"
	atf_check ar rc libuser.a h_user.o
	rm libuser.so
	for how in '' -static; do
		mode gcc $how "$data/h_plain.c" -L. -luser \
		    $(pkg-config --libs gons)
	done
}

atf_test_case sysroot
sysroot_head()
{
	atf_set descr "a library in a system root: PKG_CONFIG_SYSROOT_DIR"
	atf_set require.progs gcc
}
sysroot_body()
{
	needs_abi gcc
	needs_target
	root=$PWD/root
	mkdir root
	for dir in usr lib lib32 lib64 libx32; do
		[ ! -e "/$dir" ] || ln -s "/$dir" "root/$dir"
	done
	build "$PWD/obj" CC="$own_cc" \
	    JSON=no PREFIX=/nowhere/gons DESTDIR="$root" install
	[ ! -e /nowhere ] || atf_fail "installed into the system"
	export PKG_CONFIG_SYSROOT_DIR="$root"
	export PKG_CONFIG_PATH="$root/nowhere/gons/lib/pkgconfig"
	export LD_LIBRARY_PATH="$root/nowhere/gons/lib"
	atf_check -o match:"-L *$root/nowhere/gons/lib" pkg-config --libs gons
	for cc in gcc clang; do
		command -v $cc || continue
		for ld in bfd gold lld mold; do
			command -v ld.$ld || continue
			for how in '' -static; do
				echo "$cc $ld $how"
				links $cc -fuse-ld=$ld --sysroot="$root" $how \
				    -o app "$data/h_plain.c" \
				    $(pkg-config --cflags --libs gons)
				starts ./app
			done
		done
	done
}

atf_test_case cmake
cmake_head()
{
	atf_set descr "CMake: variables, imported target, a static library"
	atf_set require.progs "cmake gcc"
}
cmake_body()
{
	needs_abi gcc
	needs_target
	cp "$data/h_plain.c" "$data/h_user.c" .
	cat >CMakeLists.txt <<-'END'
	cmake_minimum_required(VERSION 3.13)
	project(consumer C)
	find_package(PkgConfig REQUIRED)
	pkg_check_modules(GONS REQUIRED gons)
	pkg_check_modules(LIBGONS REQUIRED IMPORTED_TARGET gons)

	add_executable(variables h_plain.c)
	target_include_directories(variables PRIVATE ${GONS_INCLUDE_DIRS})
	target_link_directories(variables PRIVATE ${GONS_LIBRARY_DIRS})
	target_link_libraries(variables ${GONS_LIBRARIES})

	add_executable(names h_plain.c)
	target_link_libraries(names ${GONS_LINK_LIBRARIES})

	add_executable(imported h_plain.c)
	target_link_libraries(imported PkgConfig::LIBGONS)

	add_library(user STATIC h_user.c)
	target_link_libraries(user PkgConfig::LIBGONS)
	add_executable(through h_plain.c)
	target_link_libraries(through user)

	add_library(usershared SHARED h_user.c)
	target_link_libraries(usershared PkgConfig::LIBGONS)
	add_executable(throughshared h_plain.c)
	target_link_options(throughshared PRIVATE -Wl,--no-as-needed)
	target_link_libraries(throughshared usershared)

	add_executable(static h_plain.c)
	target_include_directories(static PRIVATE ${GONS_STATIC_INCLUDE_DIRS})
	target_link_directories(static PRIVATE ${GONS_STATIC_LIBRARY_DIRS})
	target_link_libraries(static -static ${GONS_STATIC_LIBRARIES})
	END
	atf_check -o ignore cmake -DCMAKE_C_COMPILER=gcc -S . -B build
	atf_check -o ignore cmake --build build
	for app in variables names imported through throughshared static; do
		echo "$app"
		starts build/$app
	done
}

atf_test_case meson
meson_head()
{
	atf_set descr "Meson: dependency('gons')"
	atf_set require.progs "meson ninja gcc"
}
meson_body()
{
	needs_abi gcc
	needs_target
	cp "$data/h_plain.c" "$data/h_user.c" .
	cat >meson.build <<-'END'
	project('consumer', 'c')
	gons = dependency('gons')
	executable('shared', 'h_plain.c', dependencies: gons)
	user = static_library('user', 'h_user.c', dependencies: gons)
	executable('through', 'h_plain.c', link_with: user,
	    dependencies: gons)
	executable('static', 'h_plain.c', link_args: '-static',
	    dependencies: dependency('gons', static: true))
	END
	atf_check -o ignore env CC=gcc meson setup build
	atf_check -o ignore ninja -C build
	for app in shared through static; do
		echo "$app"
		starts build/$app
	done
}

atf_test_case libtool
libtool_head()
{
	atf_set descr "libtool, with a library of the consumer's"
	atf_set require.progs "libtoolize aclocal autoconf gcc"
}
libtool_body()
{
	needs_abi gcc
	needs_target
	cp "$data/h_plain.c" "$data/h_user.c" .
	cat >configure.ac <<-'END'
	AC_INIT([consumer], [1])
	AC_PROG_CC
	LT_INIT
	AC_OUTPUT
	END
	atf_check -o ignore -e ignore libtoolize --install --copy
	atf_check -o ignore -e ignore aclocal
	atf_check -o ignore -e ignore autoconf
	atf_check -o ignore -e ignore env CC=gcc ./configure
	cflags=$(pkg-config --cflags gons)
	libs=$(pkg-config --libs gons)
	lt='./libtool --quiet --tag=CC'

	for src in h_plain h_user; do
		atf_check $lt --mode=compile gcc $cflags -c $src.c
	done
	atf_check $lt --mode=link gcc -o app h_plain.lo $libs
	starts ./app
	atf_check $lt --mode=link gcc -all-static -o app h_plain.lo $libs
	starts ./app
	atf_check $lt --mode=link gcc -o libuser.la -rpath /nowhere \
	    h_user.lo $libs
	atf_check $lt --mode=link gcc -Wl,--no-as-needed -o app h_plain.lo \
	    libuser.la
	starts ./app
	# A convenience library, which libtool takes apart.
	atf_check $lt --mode=link gcc -o libconv.la h_user.lo $libs
	atf_check $lt --mode=link gcc -o app h_plain.lo libconv.la
	starts ./app
}

atf_test_case cxx_example
cxx_example_head()
{
	atf_set descr "the example in C++"
	atf_set require.progs c++
}
cxx_example_body()
{
	needs_abi c++
	needs_target user,net
	links c++ -std=c++11 -Wall -Wextra -Werror -o scoped \
	    "$stage/share/examples/gons/scoped.cc" \
	    $(pkg-config --cflags --libs gons)
	atf_check "$target" user,net sh -c '
		t=/proc/$TARGET/ns
		there=$(./scoped user $t/user net $t/net) &&
		test "$there" = "$(readlink $t/net)" &&
		test "$there" != "$(./scoped)"'
	atf_check -s exit:1 -e match:'^scoped: gons: .*unknown.*"nte"' \
	    ./scoped nte /proc/self/ns/net
}

atf_test_case cgo
cgo_head()
{
	atf_set descr "Go with cgo: no more than #cgo pkg-config: gons"
	atf_set require.progs "go gcc"
}
cgo_body()
{
	needs_abi gcc
	needs_target
	# Go wants no module in the directory for temporary files.
	mkdir consumer
	cp "$stage/share/examples/gons/where.go" consumer/main.go
	echo 'module consumer' >consumer/go.mod
	export GOCACHE="$PWD/cache" GOPATH="$PWD/go" GOFLAGS=-mod=mod
	export GOPROXY=off CC=gcc
	go_build
	starts ./app
	# An even and an odd number of variables: the run time walks behind.
	for one in user mnt,user net,user,uts; do
		atf_check -o save:got "$target" -e -w want $one ./app
		atf_check -o file:want grep -E "^(${one%%,*}|$(echo $one |
		    tr , '|')) " got
	done
	go_build -ldflags "-extldflags -static"
	starts ./app
	chmod -R u+w cache go 2>/dev/null || true
}

atf_test_case python
python_head()
{
	atf_set descr "the example in Python: an interpreter as host program"
	atf_set require.progs python3
}
python_body()
{
	needs_target user,net
	staged
	host="$stage/share/examples/gons/host.py"
	export LD_LIBRARY_PATH="$stage/lib"
	python3 -c 'import ctypes; ctypes.CDLL("libgons.so.0")' 2>why ||
	    atf_skip "python3 is for another machine: $(tail -n 1 why)"
	# Two containers, each of which has nothing but its own lo.
	atf_check "$target" user,net "$target" user,net sh -c '
		got=$(python3 "$0" $TARGET $TARGET) || exit
		test "$got" = "$TARGET lo
$TARGET lo"' "$host"
	atf_check -s exit:1 -e match:'^host.py: PID 0: ' python3 "$host" 0
}

# As of 1.20 there is go -C.
go_build()
{
	atf_check -e ignore sh -c 'cd consumer && exec go build "$@"' sh \
	    -o ../app "$@"
}

# foreign COMPILER...: builds and installs the library with it, and
# starts programs that it makes.
foreign()
{
	echo 'int main(void) { return 0; }' >try.c
	"$@" -o try try.c 2>why && ./try 2>>why ||
	    atf_skip "$* makes no programs that run: $(head -n 1 why)"
	needs_target
	build "$PWD/obj" CC="$*" JSON=no PREFIX="$PWD/foreign" install
	atf_check -s exit:1 grep -i warning make.log
	export PKG_CONFIG_PATH="$PWD/foreign/lib/pkgconfig"
	export LD_LIBRARY_PATH="$PWD/foreign/lib"
	libs=$(pkg-config --cflags --libs gons)
	for how in '' -static -Wl,--as-needed \
	    '-static -ffunction-sections -Wl,--gc-sections'; do
		mode "$@" $how "$data/h_plain.c" $libs
	done
	links "$@" -o plain "$data/h_plain.c"
	starts env LD_PRELOAD="$PWD/foreign/lib/libgons.so.0" ./plain
	links "$@" -D_GNU_SOURCE -o report "$data/h_report.c" $libs
	atf_check -o match:'^status -$' -o match:'^joined mnt net user uts$' \
	    -o match:'^variables 0$' "$target" -e $types ./report
	atf_check -o match:'^status gons: .*gons_net.*No such file' \
	    -o match:'^joined$' env gons_net=/no/such/ns ./report
}

atf_test_case musl
musl_head()
{
	atf_set descr "musl, shared and static"
	atf_set require.progs musl-gcc
}
musl_body()
{
	foreign musl-gcc

	# Threads before main, where that can be won.
	libs=$(pkg-config --cflags --libs gons)
	thread=$data/h_thread.c
	set -- musl-gcc -D_GNU_SOURCE -Wl,--no-as-needed
	links "$@" -static -o app "$thread" "$data/h_threaded.c" $libs
	raced ./app
	links "$@" -shared -fPIC -o libthread.so "$thread"
	export LD_LIBRARY_PATH=".:$PWD/foreign/lib"
	# Where it cannot, no thread is joined alone.
	links "$@" -o report "$data/h_report.c" $(pkg-config --cflags gons) \
	    -Wl,-Bstatic $libs -Wl,-Bdynamic -L. -lthread
	too_late ./report
	# Those that are named first are initialised first.
	links "$@" -o app "$data/h_threaded.c" $libs -L. -lthread
	raced ./app
	links "$@" -o app "$data/h_threaded.c" -L. -lthread
	raced env LD_PRELOAD="$PWD/foreign/lib/libgons.so.0" ./app
}

atf_test_case m32
m32_head()
{
	atf_set descr "32 bit on a 64-bit kernel"
	atf_set require.progs gcc
}
m32_body()
{
	# Where the kernel's headers are that both have in common.
	foreign gcc -m32 -idirafter "/usr/include/$(gcc -print-multiarch)"
}

# calls_all OBJECT...: a program with all their functions of gons.h.
calls_all()
{
	echo '#include <gons.h>'
	echo 'typedef void (*function)(void);'
	echo 'function table[] = {'
	for object; do
		nm -g --defined-only "$GONS_TEST_OBJ/lib/$object.o" |
		    sed -n 's/.* T \(gons_[^_].*\)$/(function)\1,/p'
	done
	echo '(function)0 };'
	echo 'int main(void) { return table[0] == (function)0; }'
}

# alone OBJECT NEEDS...: links with these, and needs each.
alone()
{
	[ -f "$GONS_TEST_SRC/lib/$1.c" ] || return 0
	objs=
	for object; do
		objs="$objs $GONS_TEST_OBJ/lib/$object.o"
	done
	calls_all "$@" >caller.c
	set -- $own_cc -w -I"$stage/include" -o caller caller.c $objs
	links "$@"
	atf_check ./caller
	links "$@" -static
	links "$@" -Wl,--gc-sections
}

atf_test_case objects
objects_head()
{
	atf_set descr "each object links with no more than it is said to need"
}
objects_body()
{
	needs_abi $own_cc
	alone envparse
	alone order envparse
	alone switch order envparse
	alone status switch order envparse
	alone visit switch order envparse
	alone covmerge
	alone reexec status switch order envparse covmerge

	# Code that runs before main comes with status.o alone.
	for object in envparse order switch visit covmerge reexec; do
		[ -f "$GONS_TEST_OBJ/lib/$object.o" ] || continue
		atf_check -o not-match:'(init_array|ctors|\.init)' \
		    readelf -SW "$GONS_TEST_OBJ/lib/$object.o"
	done
	atf_check -o match:init_array readelf -SW "$GONS_TEST_OBJ/lib/status.o"
	calls_all order envparse >caller.c
	links $own_cc -w -I"$stage/include" -o caller caller.c \
	    "$GONS_TEST_OBJ/lib/order.o" "$GONS_TEST_OBJ/lib/envparse.o"
	atf_check -o match:gons_order_parse -o not-match:gons_status nm caller

	# They are position independent: for shared objects of others.
	objs=
	for object in envparse order switch visit covmerge; do
		[ ! -f "$GONS_TEST_OBJ/lib/$object.o" ] ||
		    objs="$objs $GONS_TEST_OBJ/lib/$object.o"
	done
	set -- $own_cc
	for ld in bfd gold lld mold; do
		command -v ld.$ld || continue
		links "$@" -fuse-ld=$ld -shared -fPIC -w -I"$stage/include" \
		    -Wl,-z,text -Wl,-z,defs -o libcaller.so caller.c $objs
		atf_check -o not-match:TEXTREL readelf -d libcaller.so
	done
}

atf_test_case header
header_head()
{
	atf_set descr "each header compiles alone, as C and as C++"
}
header_body()
{
	tried=0
	for header in "$stage"/include/*.h; do
		name=${header##*/}
		[ "$name" != gons_json.h ] || pkg-config jansson || continue
		# Twice, and something behind it.
		printf '#include <%s>\n#include <%s>\nint declared;\n' \
		    "$name" "$name" >alone.c
		cp alone.c alone.cc
		for cc in gcc clang; do
			command -v $cc || continue
			for std in c99 c11 c17 c2x gnu99; do
				strictly $cc -std=$std alone.c
			done
		done
		for cxx in g++ clang++; do
			command -v $cxx || continue
			for std in c++98 c++11 c++14 c++17 c++20; do
				strictly $cxx -std=$std alone.cc
			done
		done
	done
	[ $tried -gt 0 ] || atf_skip "there is neither gcc nor clang"
}

strictly()
{
	tried=$((tried + 1))
	cflags=$(pkg-config --cflags gons)
	[ "$name" != gons_json.h ] || cflags=$(pkg-config --cflags gons-json)
	# A new C++ compiler may find that C++98 has no long long; int64_t is.
	atf_check "$@" -Wall -Wextra -Werror -pedantic -Wno-long-long \
	    $cflags -c -o alone.o
}

# warns COMPILER...: not about the first of these functions, and about each of
# the others.
warns()
{
	echo "$*"
	tried=$((tried + 1))
	set -- "$@" -Wall -Wextra -Werror -O2 $(pkg-config --cflags gons) -c \
	    -o called.o
	printf '#include <gons.h>\nint f(struct gons_env *e, char *buf)\n{\n' \
	    >first.c
	while read -r line; do
		{ cat first.c; echo "$line"; echo '}'; } >called.c
		cp called.c called.cc
		case $line in
		*/*) atf_check "$@" ;;
		*)  atf_check -s not-exit:0 -e match:error "$@" ;;
		esac
	done <<-'END'
	(void)buf; return gons_switch(e, NULL, NULL); /* right */
	(void)e; return gons_error_format(gons_status_error(), buf, 9); /* */
	(void)buf; gons_switch(e, NULL, NULL); return 0;
	(void)e; (void)buf; gons_reexec_new("x"); return 0;
	(void)e; (void)buf; return gons_switch(NULL, NULL, NULL);
	(void)e; (void)buf; return gons_envparse(NULL, NULL);
	(void)e; return gons_error_format(NULL, buf, 1);
	(void)e; (void)buf; return gons_reexec_start(NULL);
	(void)e; (void)buf; return gons_reexec_param(NULL, "", 1);
	END
}

atf_test_case attributes
attributes_head()
{
	atf_set descr "compilers warn of NULL and of results that are ignored"
}
attributes_body()
{
	tried=0
	for cc in gcc clang; do
		command -v $cc || continue
		warns $cc -std=c99 -pedantic called.c
	done
	for cxx in g++ clang++; do
		command -v $cxx || continue
		warns $cxx -std=c++98 -pedantic -Wno-long-long called.cc
	done
	[ $tried -gt 0 ] || atf_skip "there is neither gcc nor clang"
	# How many bytes there are is known to gcc 10 and later.
	command -v gcc && [ "$(gcc -dumpversion | sed 's/[.].*//')" -ge 10 ] ||
	    return 0
	cat >called.c <<-'END'
	#include <gons.h>
	int
	main(void)
	{
		char buf[8];

		return gons_error_format(gons_status_error(), buf, 16);
	}
	END
	atf_check -s not-exit:0 -e match:error gcc -Wall -Wextra -Werror -O2 \
	    $(pkg-config --cflags gons) -c -o called.o called.c
}

# declared HEADER: the functions that it declares, sorted.
declared()
{
	gcc -fpreprocessed -dD -E -P "$1" | grep -v '^#' |
	    grep -o 'gons_[a-z0-9_]*(' | tr -d '(' | sort -u
}

# mapped MAP: the functions that it exports, sorted, those with names of the
# library's own, which no header declares, left out.
mapped()
{
	sed -e 's/#.*//' "$1" | grep -o 'gons_[a-z0-9_]*;' | tr -d ';' |
	    grep -v '^gons__' | sort -u
}

# What is not written yet is declared, but nowhere defined.
written()
{
	drop='^$'
	[ -f "$GONS_TEST_SRC/lib/reexec.c" ] || drop="$drop|^gons_reexec_"
	[ -f "$GONS_TEST_SRC/lib/covmerge.c" ] || drop="$drop|^gons_covmerge$"
	grep -Ev "$drop"
}

atf_test_case symbols
symbols_head()
{
	atf_set descr "the library exports the functions of gons.h, and no more"
	atf_set require.progs "nm readelf gcc"
}
symbols_body()
{
	[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
	    atf_skip "the library is built with -fsanitize"
	src=$GONS_TEST_SRC
	for lib in gons gons_json; do
		map=Symbol${lib#gons}.map
		so=$stage/lib/lib$lib.so.0
		[ -e "$so" ] || continue
		declared "$src/include/$lib.h" >declared
		[ -s declared ] || atf_fail "$lib.h declares nothing"
		mapped "$src/lib/$map" >map
		atf_check -o file:declared cat map
		written <declared >expected
		nm -D --defined-only "$so" | awk '$2 != "A" { print $3 }' \
		    >versioned
		sed -n 's/^\(gons_[^_@][^@]*\)@.*/\1/p' versioned | sort -u >exported
		atf_check -o file:expected cat exported
		# Each has a version, and tells whose it is.
		atf_check -s exit:1 grep -Ev \
		    -e '^gons_[^_].*@@GONS_(JSON_)?[0-9]+[.][0-9]+$' \
		    -e '^gons__.*@@GONS_PRIVATE$' versioned
	done
	# Nothing in the way of a static program's own names.
	for file in "$stage/lib/gons/libgons.a" "$stage"/lib/libgons_json.a \
	    "$GONS_TEST_OBJ"/lib/*.o; do
		[ -e "$file" ] || continue
		nm -g --defined-only "$file" | awk 'NF == 3 { print $3 }' \
		    >defined
		# Some compilers add these to position-independent code.
		atf_check -s exit:1 grep -v -e '^gons_' -e get_pc_thunk defined
	done
	atf_check -o empty nm -g --defined-only "$stage/lib/gons/autostart.o"
	# All of libgons.a is what gons.h declares and what is shared inside.
	nm -g --defined-only "$stage/lib/gons/libgons.a" |
	    awk 'NF == 3 && $3 ~ /^gons_[^_]/ { print $3 }' | sort >defined
	declared "$src/include/gons.h" | written >expected
	atf_check -o file:expected cat defined
}

atf_test_case early_code
early_code_head()
{
	atf_set descr "start-up calls nothing of libc that can be replaced"
	atf_set require.progs nm
}
early_code_body()
{
	[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
	    atf_skip "the library is built with -fsanitize"
	for object in envparse order switch status; do
		for o in "$GONS_TEST_OBJ/lib/$object.o" \
		    "$GONS_TEST_OBJ/lib/$object.pico"; do
			nm -u "$o" | awk '{ print $NF }' |
			    sed 's/@.*//' >undefined
			# Text is made later; its errors are not copied.
			atf_check -s exit:1 grep -E \
			    '^_*(mem|str[^e]|b(cmp|copy|zero)|open|close)' \
			    undefined
		done
	done
}

atf_test_case shared_object
shared_object_head()
{
	atf_set descr "soname, flags and needs of the shared library"
	atf_set require.progs readelf
}
shared_object_body()
{
	[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
	    atf_skip "the library is built with -fsanitize"
	so=$stage/lib/libgons.so.0
	readelf -dW "$so" >dynamic
	atf_check -o match:'\(SONAME\).*\[libgons\.so\.0\]' \
	    -o match:'FLAGS_1.*INITFIRST' -o match:'FLAGS_1.*NOW' \
	    -o not-match:TEXTREL -o not-match:'RPATH|RUNPATH' cat dynamic
	atf_check -s exit:1 grep -v 'libc\.' <<-END
	$(grep NEEDED dynamic)
	END
	readelf -lW "$so" >segments
	atf_check -o match:'GNU_STACK.* RW ' -o match:GNU_RELRO cat segments
	atf_check -s exit:1 grep -E 'LOAD.* RWE' segments
	# Objects that say nothing about the stack make it executable.
	for file in "$stage/lib/gons/autostart.o" "$GONS_TEST_OBJ"/lib/*.o; do
		atf_check -o match:'note\.GNU-stack' readelf -SW "$file"
	done
}

atf_init_test_cases()
{
	# shellcheck source=tests/support/common.sh
	. "$(atf_get_srcdir)/support/common.sh"
	for cc in gcc clang; do
		for ld in bfd gold lld mold; do
			atf_add_test_case ${cc}_$ld
		done
	done
	for tc in own_compiler sanitizers_gcc sanitizers_clang preload \
	    through_library sysroot cmake meson libtool cxx_example cgo python musl m32 objects \
	    header attributes symbols early_code shared_object; do
		atf_add_test_case $tc
	done
}
