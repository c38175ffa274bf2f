# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# What packagers rely on: flags, directories, parts, the tarball, the same
# bytes each time; and recipes as in the README.

# run OBJECTS ARGUMENT...: runs make, as a user with an empty environment.
run()
{
	obj=$PWD/$1
	shift
	mkdir -p "$obj"
	env -i PATH="$PATH" HOME="$PWD" MAKEOBJDIRPREFIX="$obj" CC="$cc" \
	    "${GONS_TEST_MAKE:-bmake}" -C "$src" "$@"
}

# make OBJECTS ARGUMENT...: the same, and what it prints goes to the file log.
make()
{
	if ! run "$@" >log 2>&1; then
		tail -n 50 log
		atf_fail "make $*"
	fi
}

# make_fails MESSAGE OBJECTS ARGUMENT...: it refuses, and says that.
make_fails()
{
	message=$1
	shift
	! run "$@" >log 2>&1 || atf_fail "make $*: did not fail"
	atf_check -o ignore grep -e "$message" log
}

# files DIRECTORY: what is there, but directories.
files()
{
	(cd "$1" && find . ! -type d | LC_ALL=C sort)
}

none()
{
	[ -z "$(files "$1")" ] || atf_fail "left: $(files "$1")"
}

atf_test_case parallel
parallel_head()
{
	atf_set descr "all and install at once, many jobs, objects elsewhere"
	atf_set timeout 600
}
parallel_body()
{
	make obj -j16 DESTDIR="$PWD/d" \
	    all install
	make obj DESTDIR="$PWD/d" uninstall
	none d
	find "$src" ! -path "$src/tests/*" -newer obj ! -type d >new
	atf_check cat new
}

atf_test_case flags
flags_head()
{
	atf_set descr "flags of packagers, in the environment or as arguments"
}
flags_body()
{
	make default all
	atf_check -o match:' -O2 ' grep -e '-c -o order.o' log

	set -- CFLAGS='-O1 -DA_C' CPPFLAGS=-DA_CPP LDFLAGS=-Wl,-O1
	make arguments "$@"
	mv log arguments.log
	mkdir environment staging
	for dir in environment staging; do
		# Some versions of make add to CPPFLAGS what breaks staging.
		[ $dir = environment ] || set -- "$@" DESTDIR=/d
		env -i PATH="$PATH" MAKEOBJDIRPREFIX="$PWD/$dir" CC="$cc" \
		    "$@" "${GONS_TEST_MAKE:-bmake}" -C "$src" >$dir.log 2>&1 ||
		    atf_fail "make with $dir"
	done
	for f in arguments.log environment.log staging.log; do
		grep -e ' -c -o ' $f >compile
		atf_check -s exit:1 grep -v -e ' -O1 -DA_C .* -DA_CPP ' compile
		atf_check -s exit:1 grep -e ' -O2 ' -e nostdinc compile
		grep -e ' -shared ' $f >link
		atf_check -s exit:1 grep -v -e ' -O1 -DA_C .*-Wl,-O1 ' link
	done
}

atf_test_case hardened
hardened_head()
{
	atf_set descr "the flags of a distribution, and no warning"
	atf_set timeout 600
}
hardened_body()
{
	own_only
	hard='-O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE'
	hard="$hard -Wformat -Werror=format-security -fcf-protection=none"
	make obj WERROR=yes CFLAGS="$hard" \
	    LDFLAGS='-pie -Wl,-z,relro -Wl,-z,now -Wl,--as-needed'
	if command -v dpkg-buildflags >/dev/null; then
		for v in CFLAGS CPPFLAGS LDFLAGS; do
			eval "$v=\$(DEB_BUILD_MAINT_OPTIONS=hardening=+all \
			    dpkg-buildflags --get $v)"
		done
		make obj2 WERROR=yes \
		    CFLAGS="$CFLAGS" CPPFLAGS="$CPPFLAGS" LDFLAGS="$LDFLAGS"
	fi
}

atf_test_case lto
lto_head()
{
	atf_set descr "with -flto the archive has code, and start-up is kept"
	atf_set require.progs readelf nm
	atf_set timeout 600
}
lto_body()
{
	own_only
	make obj CFLAGS='-O2 -flto' \
	    PREFIX="$PWD/p" install
	atf_check -o match:' T gons_order_parse' nm p/lib/gons/libgons.a
	atf_check -o not-match:gnu.lto readelf -SW p/lib/gons/libgons.a
	atf_check -o match:init_array readelf -SW p/lib/libgons.so.0
	atf_check -s exit:1 -e match:'gons: .*/no/such/ns' \
	    env LD_PRELOAD="$PWD/p/lib/libgons.so.0" gons_net=/no/such/ns \
	    gons_onerror=exit sh -c 'echo started'
}

atf_test_case parts
parts_head()
{
	atf_set descr "the four parts are the whole, each file once"
	atf_set timeout 600
}
parts_body()
{
	set -- PREFIX=/usr LIBDIR=/usr/lib/multi MANDIR=/man
	make obj DESTDIR="$PWD/all" "$@" install
	for part in lib dev man examples; do
		mkdir -p $part
		make obj DESTDIR="$PWD/$part" "$@" \
		    install-$part
		files $part
	done | LC_ALL=C sort >parts
	files all >want
	atf_check -o file:want cat parts

	# What each is for.
	[ -f lib/usr/lib/multi/libgons.so.0.0 ] || atf_fail "no library"
	[ -h lib/usr/lib/multi/libgons.so.0 ] || atf_fail "no soname"
	atf_check -s exit:1 sh -c "find lib | grep -e '[.]so$' -e '[.]h$'"
	[ -f dev/usr/include/gons.h ] || atf_fail "no header"
	[ -f dev/usr/lib/multi/pkgconfig/gons.pc ] || atf_fail "no gons.pc"
	if ls "$src"/man/*.3 >/dev/null 2>&1; then
		[ -f man/man/man3/gons_status.3 ] || atf_fail "no manual"
	fi
	[ -f examples/usr/share/examples/gons/show.c ] ||
	    atf_fail "no examples"

	# The linker scripts name the final place.
	atf_check -o match:'INPUT\(/usr/lib/multi/gons/autostart.o /usr/lib/multi/libgons.so.0\)' \
	    cat dev/usr/lib/multi/libgons.so
	atf_check -o match:'INPUT\(/usr/lib/multi/gons/autostart.o /usr/lib/multi/gons/libgons.a\)' \
	    cat dev/usr/lib/multi/libgons.a
	atf_check -s exit:1 grep -r -l -e "$PWD" all

	# Each is removed by itself, others and the neighbours' files are not.
	touch all/usr/lib/multi/neighbour
	for part in lib dev man examples; do
		make obj DESTDIR="$PWD/all" "$@" \
		    uninstall-$part
		files $part >gone
		files all >left
		atf_check -s exit:1 grep -F -x -f gone left
	done
	atf_check -o inline:"./usr/lib/multi/neighbour\n" cat left
	[ ! -d all/usr/lib/multi/gons ] || atf_fail "the directory is left"
}

atf_test_case objects
objects_head()
{
	atf_set descr "objects by themselves, with header and manual"
	atf_set timeout 600
}
objects_body()
{
	set -- PREFIX=/usr DESTDIR="$PWD/d" OBJECTS='order envparse'
	make obj "$@" install-objects
	files d | grep -v /man/ >got
	cat >want <<-END
	./usr/include/gons.h
	./usr/lib/gons/envparse.o
	./usr/lib/gons/order.o
	END
	atf_check -o file:want cat got
	if [ -f "$src/man/gons_order.3" ]; then
		[ -f d/usr/share/man/man3/gons_order.3 ] ||
		    atf_fail "no manual"
		[ ! -e d/usr/share/man/man3/gons_switch.3 ] ||
		    atf_fail "a manual of another object"
	fi
	make obj "$@" uninstall-objects
	none d
	make obj "$@" OBJECTS= install-objects
	make_fails 'no object foo' obj "$@" OBJECTS=foo install-objects
}

atf_test_case directories
directories_head()
{
	atf_set descr "a relative DESTDIR; names that must be absolute"
}
directories_body()
{
	for v in PREFIX LIBDIR MANDIR; do
		make_fails 'must be an absolute name' obj $v=usr install
	done
}

atf_test_case pkg_config
pkg_config_head()
{
	atf_set require.progs pkg-config
}
pkg_config_body()
{
	export PKG_CONFIG_LIBDIR="$GONS_TEST_STAGE/lib/pkgconfig"
	unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
	atf_check -o inline:"$GONS_TEST_VERSION\n" pkg-config --modversion gons
	atf_check -o match:'-lgons' pkg-config --libs gons
	atf_check -o match:'-lgons' pkg-config --static --libs gons
	atf_check -o not-match:'-l(c|pthread|jansson)' \
	    pkg-config --static --libs gons
	atf_check -o match:"-L/sys$GONS_TEST_STAGE/lib" -e ignore \
	    env PKG_CONFIG_SYSROOT_DIR=/sys pkg-config --libs gons
	if [ "${GONS_TEST_JSON:-no}" = yes ]; then
		unset PKG_CONFIG_LIBDIR
		export PKG_CONFIG_PATH="$GONS_TEST_STAGE/lib/pkgconfig"
		atf_check -o match:'-lgons_json.*-lgons' \
		    pkg-config --libs gons-json
		atf_check -o match:'-ljansson' \
		    pkg-config --static --libs gons-json
	fi
}

atf_test_case version
version_body()
{
	make obj -V VERSION
	atf_check -o inline:"$GONS_TEST_VERSION\n" cat log
	atf_check -o ignore grep -x "	\* Version $GONS_TEST_VERSION" \
	    "$src/ChangeLog"
}

# tarball: makes it, and sets it to the tarball's name.
tarball()
{
	make dist dist
	tarball=$(tail -n 1 log)
	[ -f "$tarball" ] || atf_fail "no tarball"
}

atf_test_case reproducible
reproducible_head()
{
	atf_set descr "the same bytes from other directories"
	atf_set timeout 900
}
reproducible_body()
{
	[ "${GONS_TEST_COVERAGE:-no}" = no ] || atf_skip "a coverage build"
	tarball
	mv "$tarball" first.tar.gz
	tarball
	atf_check cmp first.tar.gz "$tarball"

	for dir in a some/where/else; do
		mkdir -p $dir
		(cd $dir && gzip -dc "$tarball" | tar -xf -)
		(cd $dir/libgons-* &&
		    env -i PATH="$PATH" HOME="$PWD" CC="$cc" \
		    "${GONS_TEST_MAKE:-bmake}" -j2 install DESTDIR=stage) \
		    >log 2>&1 || {
			cat log
			atf_fail "the tarball does not build"
		}
	done
	make obj DESTDIR="$PWD/stage" install
	atf_check diff -r a/libgons-*/stage some/where/else/libgons-*/stage
	atf_check diff -r a/libgons-*/stage stage
}

atf_test_case gnu_make
gnu_make_head()
{
	atf_set descr "GNU make hands over to bmake"
	atf_set timeout 600
}
gnu_make_body()
{
	for gnu in make gmake; do
		$gnu --version 2>/dev/null | grep -q GNU && break
	done
	$gnu --version 2>/dev/null | grep -q GNU || atf_skip "no GNU make"
	mkdir obj
	atf_check -o ignore -e ignore env -i PATH="$PATH" HOME="$PWD" \
	    MAKEOBJDIRPREFIX="$PWD/obj" CC="$cc" \
	    $gnu -C "$src" -j4 all install DESTDIR="$PWD/d" PREFIX=/usr
	[ -f d/usr/lib/libgons.so.0.0 ] || atf_fail "nothing is installed"
}

# recipe NAME: the text between the marks in the README.
recipe()
{
	sed -n "/<!-- $1 -->/,/<!-- end -->/p" "$src/README.md" |
	    grep -v -e '^```' -e '^<!--'
}

atf_test_case debian
debian_head()
{
	atf_set descr "the packages of the README's recipe, and lintian"
	atf_set require.progs dh dpkg-buildpackage lintian fakeroot
	atf_set timeout 1200
}
debian_body()
{
	own_only
	[ "${GONS_TEST_JSON:-no}" = yes ] || atf_skip "there is no jansson"
	tarball
	version=$GONS_TEST_VERSION
	cp "$tarball" "libgons_$version.orig.tar.gz"
	gzip -dc "$tarball" | tar -xf -
	cd "libgons-$version" || atf_fail "another name in the tarball"
	recipe debian >recipe
	# "==> file" begins a file of the directory debian.
	mkdir -p debian/source
	awk '/^==> / { file = "debian/" $2; next }
	    file != "" { print >file }' recipe
	chmod 755 debian/rules
	cp LICENSE debian/copyright
	rm recipe
	# These tests are what is running already.
	atf_check -o ignore -e ignore env -i PATH="$PATH" HOME="$PWD/.." \
	    DEB_BUILD_OPTIONS=nocheck dpkg-buildpackage -us -uc -d
	cd ..
	ls ./*.deb
	atf_check -o save:lint -e ignore lintian --tag-display-limit 0 \
	    --allow-root --fail-on error,warning libgons_*.changes
	for deb in ./*.deb; do
		case $deb in
		./libgons0_* | ./libgons-dev_* | ./libgons-json0_* | \
		    ./libgons-json-dev_* | ./*-dbgsym_*) ;;
		*)	atf_fail "unknown: $deb" ;;
		esac
	done
	dpkg-deb -c ./libgons-dev_*.deb >dev
	for f in lib/.*/libgons.so lib/.*/libgons.a lib/.*/gons/autostart.o \
	    include/gons.h lib/.*/pkgconfig/gons.pc; do
		atf_check -o ignore grep -e "usr/$f" dev
	done
}

# own_only: what is installed is of the ordinary kind.
own_only()
{
	[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
	    atf_skip "the library is built with -fsanitize"
}

atf_init_test_cases()
{
	src=${GONS_TEST_SRC:?is not set: run the tests with bmake test}
	cc=${GONS_TEST_CC:-cc}
	for tc in parallel flags hardened lto parts objects directories \
	    pkg_config version reproducible gnu_make debian; do
		atf_add_test_case $tc
	done
}
