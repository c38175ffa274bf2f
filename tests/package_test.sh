# SPDX-License-Identifier: BSD-2-Clause
#
# What becomes of the sources on their way to a distribution: the tarball, the
# flags and directories of packagers, and packages by the README's recipe.

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
	atf_set descr "the newest release in the ChangeLog is this one"
}
version_body()
{
	sed -n 's/^	\* Version //p' "$GONS_TEST_SRC/ChangeLog" |
	    head -n 1 >newest
	atf_check -o inline:"$GONS_TEST_VERSION\n" cat newest
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
	atf_set descr "a relative DESTDIR, and names that must be absolute"
}
directories_body()
{
	ordinary
	mkdir src
	tarball
	gzip -dc "$tarball" | tar -xf -
	make_in "${tarball%.tar.gz}" CC="$own_cc" DESTDIR=a/b PREFIX=/usr \
	    install-lib
	[ -f "${tarball%.tar.gz}/a/b/usr/lib/libgons.so.0.0" ] ||
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
	atf_set descr "a distribution's own flags, and -pie for programs"
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

# recipe NAME: the text between the marks in the README.
recipe()
{
	sed -n "/<!-- $1 -->/,/<!-- end -->/p" README.md |
	    grep -v -e '^```' -e '^<!--'
}

atf_test_case debian
debian_head()
{
	atf_set descr "the packages of the README's recipe, and lintian"
	atf_set require.progs "dh dpkg-buildpackage lintian fakeroot"
}
debian_body()
{
	ordinary
	needs_abi gcc
	[ "${GONS_TEST_JSON:-no}" = yes ] || atf_skip "there is no jansson"
	tarball
	version=$GONS_TEST_VERSION
	cp "$tarball" "libgons_$version.orig.tar.gz"
	gzip -dc "$tarball" | tar -xf -
	cd "libgons-$version" || atf_fail "another name in the tarball"
	recipe debian >../recipe
	# "==> file" begins a file of the directory debian.
	mkdir -p debian/source
	awk '/^==> / { file = "debian/" $2; next }
	    file != "" { print >file }' ../recipe
	chmod 755 debian/rules
	cp LICENSE debian/copyright
	# The tests of the package are what is running already.
	atf_check -o ignore -e ignore env -i PATH="$PATH" HOME="$PWD/.." \
	    DEB_BUILD_OPTIONS=nocheck dpkg-buildpackage -us -uc -d
	cd ..
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
}

atf_test_case fedora
fedora_head()
{
	atf_set descr "Fedora's lists name each installed file once"
}
fedora_body()
{
	ordinary
	build "$PWD/obj" CC="$own_cc" PREFIX=/usr LIBDIR=/usr/lib64 \
	    DESTDIR="$PWD/root" install
	files root >want
	# %license is a file of the sources.
	sed -n '/^%files/,/^```$/{/^%{_/p;}' "$GONS_TEST_SRC/README.md" |
	    sed 's|%{_libdir}|./usr/lib64|
	    s|%{_includedir}|./usr/include|
	    s|%{_mandir}|./usr/share/man|
	    s|%{_datadir}|./usr/share|' >patterns
	[ -s patterns ] || atf_fail "README.md has no lists for Fedora"
	cd root || atf_fail "nothing is installed"
	while read -r pattern; do
		# shellcheck disable=SC2086
		find $pattern ! -type d || atf_fail "$pattern matches nothing"
	done <../patterns | LC_ALL=C sort >../got
	cd ..
	atf_check -o file:want cat got
}

atf_init_test_cases()
{
	# shellcheck source=tests/common.sh
	. "$(atf_get_srcdir)/common.sh"
	for tc in version tarball directories staging buildflags debian fedora; do
		atf_add_test_case $tc
	done
}
