# SPDX-License-Identifier: BSD-2-Clause
#
# What becomes of the sources on their way to a distribution: the tarball, the
# flags and directories of packagers, and the packages of packaging/.

# ordinary: skips if what is tested is no build that would be packaged.
ordinary()
{
	needs "${own_cc%% *}"
	[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
	    atf_skip "the library is built with -fsanitize"
}

# files DIRECTORY: what is there, but directories.
files()
{
	(cd "$1" && find . ! -type d | LC_ALL=C sort)
}

# tarball: makes it in this directory.
tarball()
{
	build "$PWD/dist" dist
	tarball=libgons-$GONS_TEST_VERSION.tar.gz
	mv "dist$GONS_TEST_SRC/$tarball" .
}

atf_test_case version
version_head()
{
	atf_set descr "ChangeLog and packages name this release"
}
version_body()
{
	sed -n 's/^	\* Version //p' "$GONS_TEST_SRC/ChangeLog" |
	    head -n 1 >newest
	atf_check -o inline:"$GONS_TEST_VERSION\n" cat newest
	cd "$GONS_TEST_SRC/packaging" || atf_fail "there is no packaging"
	atf_check -o inline:"libgons ($GONS_TEST_VERSION-1)\n" \
	    sed -n '1s/).*/)/p' debian/changelog
	atf_check -o inline:"pkgver=$GONS_TEST_VERSION\n" \
	    grep pkgver= APKBUILD
	atf_check -o match:"^Version: *$GONS_TEST_VERSION\$" \
	    grep Version: libgons.spec
}

atf_test_case tarball
tarball_head()
{
	atf_set descr "the tarball is the same each time, and complete"
}
tarball_body()
{
	ordinary
	tarball
	mv "$tarball" first.tar.gz
	tarball
	atf_check cmp first.tar.gz "$tarball"

	# It installs what the sources install, and makes itself again.
	gzip -dc "$tarball" | tar -xf -
	cd "${tarball%.tar.gz}" || atf_fail "another name in the tarball"
	make_in . -j2 CC="$own_cc" DESTDIR="$PWD/../theirs" install
	make_in . dist
	atf_check cmp "$tarball" "../$tarball"
	cd ..
	build "$PWD/obj" -j2 CC="$own_cc" DESTDIR="$PWD/ours" install
	atf_check diff -r --no-dereference ours theirs
}

atf_test_case directories
directories_head()
{
	atf_set descr "a relative DESTDIR works, other relative names are refused"
}
directories_body()
{
	ordinary
	mkdir src
	tarball
	gzip -dc "$tarball" | tar -xf -
	make_in "${tarball%.tar.gz}" CC="$own_cc" DESTDIR=a/b PREFIX=/usr \
	    install-lib
	[ -f "${tarball%.tar.gz}/a/b/usr/lib/libgons.so.0.1" ] ||
	    atf_fail "not below the sources"
	for v in PREFIX LIBDIR MANDIR; do
		! (build "$PWD/obj" $v=usr all) >out || atf_fail "$v=usr"
		atf_check -o match:"$v must be an absolute name" cat make.log
	done
}

atf_test_case staging
staging_head()
{
	atf_set descr "DESTDIR adds nothing to the packager's CPPFLAGS"
}
staging_body()
{
	ordinary
	# Some versions of make then add -nostdinc.
	for cppflags in '' -DFROM_CPPFLAGS; do
		mkdir -p "$PWD/obj$cppflags"
		env -i PATH="$PATH" HOME="$PWD" CC="$own_cc" \
		    CPPFLAGS="$cppflags" DESTDIR="$PWD/dest" \
		    MAKEOBJDIRPREFIX="$PWD/obj$cppflags" \
		    "${GONS_TEST_MAKE:-bmake}" -C "$GONS_TEST_SRC" all \
		    >log 2>&1 || atf_fail "make fails: $(cat log)"
		grep -e ' -c -o ' log >compiled
		atf_check -s exit:1 grep -e nostdinc -e idirafter compiled
		atf_check -s exit:1 grep -v -e "$cppflags" compiled
	done
}

atf_test_case buildflags
buildflags_head()
{
	atf_set descr "the flags of distributions work, also -pie for programs"
}
buildflags_body()
{
	ordinary
	needs_abi gcc
	build "$PWD/pie" CC=gcc JSON=no WERROR=yes CFLAGS='-O2 -fPIE' \
	    LDFLAGS='-pie' all
	needs dpkg-buildflags
	for v in CFLAGS CPPFLAGS LDFLAGS; do
		eval "$v=\$(DEB_BUILD_MAINT_OPTIONS=hardening=+all \
		    dpkg-buildflags --get $v)"
	done
	# shellcheck disable=SC2153
	build "$PWD/debian" CC=gcc JSON=no WERROR=yes CFLAGS="$CFLAGS" \
	    CPPFLAGS="$CPPFLAGS" LDFLAGS="$LDFLAGS" all
}

# unpacked: the sources of a package, below this directory, in ./source.
unpacked()
{
	tarball
	mkdir source
	gzip -dc "$tarball" | tar -xf - -C source --strip-components=1
}

atf_test_case debian
debian_head()
{
	atf_set descr "packaging/debian makes packages that please lintian"
	atf_set require.progs "dh dpkg-buildpackage lintian fakeroot"
}
debian_body()
{
	ordinary
	needs_abi gcc
	[ "${GONS_TEST_JSON:-no}" = yes ] || atf_skip "there is no jansson"
	unpacked
	version=$GONS_TEST_VERSION
	cp "$tarball" "libgons_$version.orig.tar.gz"
	cp -R source/packaging/debian source/debian
	cd source || atf_fail "nothing is unpacked"
	# The tests of the package are what is running already.  A symbol that
	# is in no node of debian/*.symbols ends the build.
	atf_check -o ignore -e save:../err env -i PATH="$PATH" HOME="$PWD/.." \
	    DEB_BUILD_OPTIONS=nocheck DPKG_GENSYMBOLS_CHECK_LEVEL=4 \
	    dpkg-buildpackage -us -uc -d
	cd ..
	atf_check -s exit:1 grep -i warning err
	atf_check -e ignore lintian --tag-display-limit 0 --allow-root \
	    --fail-on error,warning libgons_*.changes
	for deb in libgons0 libgons-dev libgons-json0 libgons-json-dev; do
		dpkg-deb -x ${deb}_*.deb $deb || atf_fail "no package $deb"
	done
	files libgons0 | grep /lib/ >files
	atf_check -s exit:1 grep -v -e 'libgons\.so\.0' files
	files libgons-json0 | grep /lib/ >files
	atf_check -s exit:1 grep -v -e 'libgons_json\.so\.0' files
	files libgons-dev >files
	for f in include/gons.h lib/.*/libgons.so lib/.*/gons/autostart.o \
	    share/examples/gons/show.c share/man/man3/gons_status.3.gz; do
		atf_check -o ignore grep -e "usr/$f" files
	done
	atf_check -s exit:1 grep -e json files
	# Private symbols are between libraries of one build.
	atf_check -o match:"libgons0 \(= $version-1\)" \
	    dpkg-deb -f libgons-json0_*.deb Depends
	# The distribution's flags are used.
	atf_check -o match:BIND_NOW readelf -d libgons0/usr/lib/*/libgons.so.0
	atf_check -o ignore dpkg-deb -x libgons0-dbgsym_*.deb debug
}

atf_test_case smoke
smoke_head()
{
	atf_set descr "the smoke test of Debian's packages passes, and can fail"
}
smoke_body()
{
	ordinary
	needs_abi gcc
	[ "${GONS_TEST_JSON:-no}" = yes ] || atf_skip "there is no jansson"
	needs_target user,net
	smoke=$GONS_TEST_SRC/packaging/debian/tests/smoke
	sed "s|/usr/share/examples|$stage/share/examples|" "$smoke" >smoke
	mkdir tmp
	atf_check -o match:'^net net:' -o match:'^The answer is 42' \
	    env AUTOPKGTEST_TMP="$PWD/tmp" sh ./smoke
	# It sees a library that joins nothing.
	printf '#!/bin/sh\n' >pkg-config
	chmod 755 pkg-config
	rm -rf tmp
	mkdir tmp
	atf_check -s not-exit:0 -o ignore -e ignore \
	    env PATH="$PWD:$PATH" AUTOPKGTEST_TMP="$PWD/tmp" sh ./smoke
}

atf_test_case cross
cross_head()
{
	atf_set descr "Debian's rules build for the machine that they are told"
	atf_set require.progs "dh dpkg-architecture aarch64-linux-gnu-gcc"
}
cross_body()
{
	ordinary
	unpacked
	cp -R source/packaging/debian source/debian
	cd source || atf_fail "nothing is unpacked"
	# jansson of that machine need not be here.
	atf_check -o ignore -e ignore env -i PATH="$PATH" HOME="$PWD/.." \
	    JSON=no dpkg-architecture -aarm64 -f -c debian/rules \
	    override_dh_auto_build
	for f in libgons.so.0 autostart.o reexec.o; do
		atf_check -o match:'Machine: *AArch64' readelf -h lib/$f
	done
}

atf_test_case fedora
fedora_head()
{
	atf_set descr "libgons.spec names each installed file once"
	atf_set require.progs "rpmbuild"
}
fedora_body()
{
	ordinary
	needs_abi gcc
	[ "${GONS_TEST_JSON:-no}" = yes ] || atf_skip "there is no jansson"
	unpacked
	mkdir -p rpm/SOURCES
	mv "$tarball" rpm/SOURCES
	# Fedora's own macros need not be here; what is in no list of files, or
	# in two, is complained about.
	atf_check -o save:out -e save:err rpmbuild -bb --nodeps --nocheck \
	    -D "_topdir $PWD/rpm" -D '_libdir /usr/lib64' \
	    -D 'set_build_flags :' -D 'debug_package %nil' \
	    source/packaging/libgons.spec
	cat out err >log
	atf_check -s exit:1 grep -i -e 'File listed twice' \
	    -e '(but unpackaged)' -e '^error' log
	for package in '' -devel -json -json-devel; do
		rpm -qlp rpm/RPMS/*/libgons$package-[0-9]*.rpm \
		    >files$package 2>err || atf_fail "no libgons$package"
	done
	atf_check -o match:'/libgons\.so\.0$' cat files
	atf_check -s exit:1 grep -e 'libgons\.' -e '\.so$' \
	    files-json
	atf_check -o match:'/libgons\.so$' -o match:'/gons/autostart\.o$' \
	    -o match:'/gons_status\.3' -o match:'/man7/' -o match:'/show\.c$' \
	    cat files-devel
	cat files files-devel >core
	atf_check -s exit:1 grep -i json core
	atf_check -o match:'/gons_json\.3' cat files-json-devel
}

atf_test_case alpine
alpine_head()
{
	atf_set descr "APKBUILD divides what is installed as it should be"
}
alpine_body()
{
	ordinary
	[ "${GONS_TEST_JSON:-no}" = yes ] || atf_skip "there is no jansson"
	build "$PWD/obj" CC="$own_cc" all
	# What abuild(1) offers, as far as it is used; of shared libraries'
	# names it moves only those that are links.
	cat >abuild <<-'END'
	bmake() {
		env -i PATH="$PATH" PREFIX="$PREFIX" \
		    MAKEOBJDIRPREFIX="$objdir" CC="$own_cc" "$make" \
		    -C "$GONS_TEST_SRC" "$@" >>"$objdir/make.log" 2>&1
	}
	amove() {
		for pattern; do
			for f in $pattern; do
				[ -e "$f" ] || [ -L "$f" ] || return 1
				mkdir -p "$subpkgdir/$(dirname "$f")"
				mv "$f" "$subpkgdir/$f" || return 1
			done
		done
	}
	default_dev() {
		for f in usr/include usr/lib/pkgconfig \
		    $(find usr -name '*.[acho]'); do
			[ ! -e "$f" ] || amove "$f"
		done
		for f in usr/lib/*.so; do
			[ ! -L "$f" ] || amove "$f"
		done
	}
	doc() {
		amove usr/share/man
	}
	END
	cat >package <<-'END'
	set -eu
	. ./abuild
	. "$GONS_TEST_SRC/packaging/APKBUILD"
	package
	cd "$pkgdir"
	for sub in $subpackages; do
		name=${sub%%:*}
		case $sub in
		*:*)	function=${sub#*:} ;;
		*)	function=${name##*-} ;;
		esac
		subpkgdir=$pkgdir/../$name
		$function
	done
	END
	make=${GONS_TEST_MAKE:-bmake} own_cc=$own_cc objdir=$PWD/obj \
	    pkgdir=$PWD/libgons sh ./package || {
		cat obj/make.log
		atf_fail "no packages"
	}
	files libgons >files
	atf_check -s exit:1 grep -v '/usr/lib/libgons\.so\.0' files
	files libgons-json >files
	atf_check -s exit:1 grep -v '/usr/lib/libgons_json\.so\.0' files
	files libgons-dev >files
	for f in lib/libgons.so lib/libgons.a lib/libgons_json.so include/gons.h \
	    lib/gons/autostart.o lib/pkgconfig/gons.pc \
	    share/examples/gons/show.c; do
		atf_check -o ignore grep -x "./usr/$f" files
	done
}

atf_init_test_cases()
{
	# shellcheck source=tests/support/common.sh
	. "$(atf_get_srcdir)/support/common.sh"
	for tc in version tarball directories staging buildflags debian smoke \
	    cross fedora alpine; do
		atf_add_test_case $tc
	done
}
