# SPDX-License-Identifier: BSD-2-Clause
#
# Building and installing as packagers do: what lands where, that it goes away
# again, whose flags are used, and that it comes out the same each time.

# All is installed below this, in a directory for staging.
prefix=/nowhere/gons

# settled: variables that all builds have in common.
settled()
{
	needs "${own_cc%% *}"
	[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
	    atf_skip "the library is built with -fsanitize"
	json=${GONS_TEST_JSON:-no}
	[ "$json" = yes ] || json=no
}

# staged DIRECTORY TARGET...: out of ./obj, with many jobs at once.
staged()
{
	staged_dir=$1
	shift
	build "$PWD/obj" -j16 CC="$own_cc" JSON=$json PREFIX=$prefix \
	    DESTDIR="$staged_dir" "$@"
}

# tree DIRECTORY: what is in it: name, type or link, mode of files.
tree()
{
	(cd "$1$prefix" 2>/dev/null &&
	    find . -type l -printf '%P -> %l\n' -o -type f -printf '%P %m\n' -o \
	    ! -type d -printf '%P ?\n') | LC_ALL=C sort
}

# pages LIBRARY: its pages, and a link for each other name.
pages()
{
	for page in "$GONS_TEST_SRC"/man/*.3; do
		[ -e "$page" ] || continue
		name=${page##*/}
		case $1:$name in
		gons:gons_json*) continue ;;
		gons_json:gons_json*) ;;
		gons_json:*) continue ;;
		esac
		echo "share/man/man3/$name 644"
		names "$page" | while read -r other; do
			[ "$other.3" = "$name" ] ||
			    echo "share/man/man3/$other.3 -> $name"
		done
	done
}

# names PAGE: those of its section NAME.
names()
{
	sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([^ ]*\).*/\1/p' "$1"
}

# contract: what an installation consists of.
contract()
{
	{
		cat <<-END
		include/gons.h 644
		lib/gons/autostart.o 644
		lib/gons/libgons.a 644
		lib/libgons.a 644
		lib/libgons.so 644
		lib/libgons.so.0 -> libgons.so.0.0
		lib/libgons.so.0.0 755
		lib/pkgconfig/gons.pc 644
		END
		pages gons
		if [ $json = yes ]; then
			cat <<-END
			include/gons_json.h 644
			lib/libgons_json.a 644
			lib/libgons_json.so -> libgons_json.so.0
			lib/libgons_json.so.0 -> libgons_json.so.0.0
			lib/libgons_json.so.0.0 755
			lib/pkgconfig/gons-json.pc 644
			END
			pages gons_json
		fi
		for example in "$GONS_TEST_SRC"/examples/*.*; do
			case $example in
			*.c | *.cc | *.go | *.sh) ;;
			*) continue ;;
			esac
			mode=644
			[ "${example##*.}" != sh ] || mode=755
			echo "share/examples/gons/${example##*/} $mode"
		done
	} | LC_ALL=C sort
}

atf_test_case files
files_head()
{
	atf_set descr "what is installed, with which modes, and uninstalled"
}
files_body()
{
	settled
	contract >expected
	# All at once, by somebody whose own files are private.
	(umask 077 && staged "$PWD/dest" all install)
	tree "$PWD/dest" >installed
	atf_check -o file:expected cat installed
	atf_check find dest -mindepth 1 -type d ! -perm 755
	[ ! -e "$prefix" ] || atf_fail "installed into the system"
	# Once more, over what is there.
	staged "$PWD/dest" install
	tree "$PWD/dest" >installed
	atf_check -o file:expected cat installed

	# Nothing knows where it was built or staged, or from what.
	atf_check -s exit:1 grep -r -e "$PWD" -e "$GONS_TEST_SRC" dest
	for name in libgons.so libgons.a; do
		sed 's,/\*.*\*/ *,,' "dest$prefix/lib/$name"
	done >scripts
	atf_check -o file:scripts cat <<-END
	INPUT($prefix/lib/gons/autostart.o $prefix/lib/libgons.so.0)
	INPUT($prefix/lib/gons/autostart.o $prefix/lib/gons/libgons.a)
	END

	# What is not ours stays, and nothing else.
	touch "dest$prefix/lib/other.so" "dest$prefix/lib/gons/other.o"
	staged "$PWD/dest" uninstall
	tree "$PWD/dest" >installed
	atf_check -o inline:'lib/gons/other.o 644\nlib/other.so 644\n' \
	    cat installed
	rm "dest$prefix/lib/other.so" "dest$prefix/lib/gons/other.o"
	staged "$PWD/dest" install
	staged "$PWD/dest" uninstall
	atf_check find dest ! -type d
	atf_check find dest -type d -name gons -path '*/gons/*'
}

atf_test_case components
components_head()
{
	atf_set descr "the components add up, and have nothing in common"
}
components_body()
{
	settled
	staged "$PWD/whole" all install
	for part in lib dev man examples; do
		staged "$PWD/$part" install-$part >&2
		tree "$PWD/$part"
		(cd "$PWD/$part" 2>/dev/null && tar -cf - .) |
		    { mkdir -p sum && tar -xf - -C sum; } 2>/dev/null
	done >parts
	LC_ALL=C sort parts >sorted
	tree "$PWD/whole" >whole.tree
	atf_check -o file:whole.tree cat sorted
	atf_check diff -r --no-dereference whole sum

	# A program runs with the first alone.
	tree "$PWD/lib" | sed 's/ .*//' >names
	atf_check -s exit:1 grep -v '^lib/libgons.*\.so\.0' names
	tree "$PWD/man" | sed 's/ .*//' >names
	atf_check -s exit:1 grep -v '^share/man/man3/' names

	# Each is uninstalled by itself.
	for part in examples man dev lib; do
		staged "$PWD/whole" uninstall-$part
	done
	atf_check find whole ! -type d
}

atf_test_case objects
objects_head()
{
	atf_set descr "install-objects: just these, with header and pages"
}
objects_body()
{
	settled
	staged "$PWD/dest" install-objects OBJECTS="order envparse"
	{
		echo 'include/gons.h 644'
		echo 'lib/gons/envparse.o 644'
		echo 'lib/gons/order.o 644'
		for page in libgons gons_order gons_envparse; do
			pages gons | grep -e "/$page\.3 [0-9]" \
			    -e "-> $page\.3$"
		done
	} | LC_ALL=C sort >expected
	tree "$PWD/dest" >installed
	atf_check -o file:expected cat installed
	# They are what a program is linked with.
	cat >user.c <<-'END'
	#include <gons.h>
	int main(void)
	{
		struct gons_order order;
		return gons_order_parse("net,!user", &order, NULL);
	}
	END
	# shellcheck disable=SC2086
	links $own_cc -I"dest$prefix/include" -o user user.c \
	    "dest$prefix/lib/gons/order.o" "dest$prefix/lib/gons/envparse.o"
	atf_check ./user
	staged "$PWD/dest" uninstall-objects OBJECTS="order envparse"
	atf_check find dest ! -type d

	staged "$PWD/all" install-objects
	(cd "all$prefix/lib/gons" && ls) >installed
	(cd "$GONS_TEST_SRC/lib" && for object in autostart covmerge envparse \
	    order reexec status switch; do
		[ ! -f $object.c ] || echo $object.o
	done) >expected
	atf_check -o file:expected cat installed
	! (staged "$PWD/dest" install-objects OBJECTS="nonsense") >out ||
	    atf_fail "there is an object called nonsense"
	atf_check -o match:nonsense cat make.log
}

atf_test_case manual
manual_head()
{
	atf_set descr "each link among the manual's pages leads to one"
}
manual_body()
{
	settled
	staged "$PWD/dest" install-man
	[ -d "dest$prefix/share/man" ] || atf_fail "there is no manual"
	atf_check find "dest$prefix/share/man" -xtype l
	for page in "dest$prefix"/share/man/man3/*; do
		# It names what it was found by.
		name=${page##*/}
		[ ! -h "$page" ] || names "$page" | grep -qx "${name%.3}" ||
		    atf_fail "$name leads to a page that does not name it"
	done
	# Another place for it.
	staged "$PWD/moved" MANDIR=/nowhere/man install-man
	atf_check diff -r --no-dereference "dest$prefix/share/man" \
	    moved/nowhere/man
}

atf_test_case pc
pc_head()
{
	atf_set descr "the .pc files are valid and tell the version"
	atf_set require.progs "pkg-config"
}
pc_body()
{
	for pc in "$stage"/lib/pkgconfig/*.pc; do
		name=${pc##*/}
		name=${name%.pc}
		# The other one requires jansson, which may have gone since.
		[ $name = gons ] || pkg-config jansson || continue
		atf_check pkg-config --validate $name
		atf_check -o inline:"$GONS_TEST_VERSION\n" \
		    pkg-config --modversion $name
		atf_check -s exit:1 grep @ "$pc"
	done
	[ -n "${GONS_TEST_VERSION-}" ] || atf_fail "no GONS_TEST_VERSION"
	atf_check -o match:'-lgons *$' -o match:"-L$stage/lib " \
	    pkg-config --libs gons
	atf_check -o match:"^-I$stage/include *\$" pkg-config --cflags gons
	# Static or not, the same: libgons needs libc only.
	pkg-config --libs gons >shared
	atf_check -o file:shared pkg-config --static --libs gons

	# The library, its header and its manual are of that version.
	settled
	cat >version.c <<-'END'
	#include <stdio.h>
	#include <gons.h>
	int main(void) { return puts(gons_version()) == EOF; }
	END
	# shellcheck disable=SC2086
	links $own_cc -o version version.c $(pkg-config --cflags --libs gons)
	atf_check -o inline:"$GONS_TEST_VERSION\n" ./version

	# Elsewhere, as a distribution with several architectures has it.
	staged "$PWD/multi" PREFIX=/usr LIBDIR=/usr/lib/some-linux-gnu install
	pcdir=$PWD/multi/usr/lib/some-linux-gnu/pkgconfig
	atf_check -o inline:'/usr/lib/some-linux-gnu\n' env \
	    PKG_CONFIG_PATH="$pcdir" pkg-config --variable=libdir gons
	atf_check -o match:'[(]/usr/lib/some-linux-gnu/gons/autostart.o ' cat \
	    multi/usr/lib/some-linux-gnu/libgons.so
	# Moved as a whole, it is right with the option for that.
	atf_check -o match:"-L$PWD/multi/usr/lib/some-linux-gnu " \
	    env PKG_CONFIG_PATH="$pcdir" pkg-config \
	    --define-variable=prefix="$PWD/multi/usr" --libs gons
}

id=0123456789abcdef0123456789abcdef01234567

# What the compiler was called with goes to ./calls, one call a line.
spy()
{
	# shellcheck disable=SC2086
	set -- $own_cc
	cat >cc <<-END
	#!/bin/sh
	echo "\$*" >>'$PWD/calls'
	exec $* "\$@"
	END
	chmod 755 cc
}

# spied: each was called with the flags of somebody who packages.
spied()
{
	grep -e ' -c ' calls | grep -e '\.c$' >compiled
	grep -e ' -shared ' calls >linked
	[ -s compiled ] && [ -s linked ] || atf_fail "nothing is built"
	atf_check -s exit:1 grep -v -e '-O1 .*-DFROM_CFLAGS' compiled
	atf_check -s exit:1 grep -v -e '-DFROM_CPPFLAGS' compiled
	atf_check -s exit:1 grep -e '-O2' compiled
	atf_check -s exit:1 grep -v -e '-DFROM_CFLAGS' linked
	atf_check -s exit:1 grep -v -e "-Wl,--build-id=0x$id" linked
	# And arrives.
	atf_check -o match:"Build ID: $id" readelf -n obj*/"$1"
}

atf_test_case flags
flags_head()
{
	atf_set descr "CFLAGS, CPPFLAGS and LDFLAGS of packagers are used"
	atf_set require.progs readelf
}
flags_body()
{
	settled
	spy
	so=$GONS_TEST_SRC/lib/libgons.so.0.0
	set -- CFLAGS='-O1 -DFROM_CFLAGS' CPPFLAGS=-DFROM_CPPFLAGS \
	    LDFLAGS="-Wl,--build-id=0x$id"
	build "$PWD/obj1" CC="$PWD/cc" JSON=no "$@" all
	spied "$so"
	rm -r calls obj1
	# In the environment.
	(
		export "$@"
		cd "$GONS_TEST_SRC" && env CC="$OLDPWD/cc" JSON=no \
		    MAKEOBJDIRPREFIX="$OLDPWD/obj2" MAKEFLAGS= \
		    "${GONS_TEST_MAKE:-bmake}" all >"$OLDPWD/make.log" 2>&1
	) || atf_fail "make fails: $(cat make.log)"
	spied "$so"
	rm -r calls obj2
	# Without any it is optimised.
	build "$PWD/obj3" CC="$PWD/cc" JSON=no all
	grep -e ' -c ' calls | grep -e '\.c$' >compiled
	atf_check -s exit:1 grep -v -e ' -O2 ' compiled
}

atf_test_case early_code
early_code_head()
{
	atf_set descr "no compiler's option makes start-up call memcpy(3)"
	atf_set require.progs nm
}
early_code_body()
{
	settled
	for cc in gcc clang; do
		command -v $cc || continue
		for flags in -O0 -Os -O3 '-O2 -flto' \
		    '-O2 -ftrivial-auto-var-init=zero' \
		    '-O2 -ftrivial-auto-var-init=pattern' \
		    '-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=3'; do
			echo 'int main(void) { return 0; }' >try.c
			$cc $flags -c -o try.o try.c 2>/dev/null || continue
			rm -rf obj
			make_in "$GONS_TEST_SRC/lib" -j2 \
			    MAKEOBJDIRPREFIX="$PWD/obj" CC=$cc JSON=no \
			    CFLAGS="$flags" WERROR=yes \
			    envparse.o order.o switch.o status.o
			for o in obj"$GONS_TEST_SRC"/lib/*.o; do
				nm -u "$o" | awk '{ print $NF }' >undefined
				atf_check -s exit:1 grep -E \
				    '^_*(mem|str[^e]|b(cmp|copy|zero))' \
				    undefined
			done
		done
	done
}

atf_test_case hardened
hardened_head()
{
	atf_set descr "hardening and link-time optimisation, as packagers do"
}
hardened_body()
{
	settled
	needs_abi gcc
	needs_target
	hard='-O2 -g -fstack-protector-strong -fstack-clash-protection'
	hard="$hard -Wformat -Werror=format-security -D_FORTIFY_SOURCE=3"
	now='-Wl,-z,relro,-z,now -Wl,-z,defs -Wl,--as-needed'
	for cc in gcc clang; do
		command -v $cc || continue
		for lto in '' -flto; do
			flags="$hard $lto"
			[ $cc-$lto != gcc--flto ] ||
			    flags="$flags -flto=auto -ffat-lto-objects"
			echo "$cc $flags"
			rm -rf obj inst
			build "$PWD/obj" -j2 CC=$cc JSON=no WERROR=yes \
			    CFLAGS="$flags" LDFLAGS="$now $lto" \
			    PREFIX="$PWD/inst" install
			export PKG_CONFIG_PATH="$PWD/inst/lib/pkgconfig"
			export LD_LIBRARY_PATH="$PWD/inst/lib"
			readelf -dW inst/lib/libgons.so.0 >dynamic
			atf_check -o match:INITFIRST -o match:'SONAME.*\.so\.0' \
			    cat dynamic
			for how in '' -static; do
				# By a compiler that is another one, too.
				links gcc $how -o app "$helpers/h_plain.c" \
				    $(pkg-config --cflags --libs gons)
				starts ./app
			done
		done
	done
}

# sources DIRECTORY: a copy of them, without what has been built there.
sources()
{
	mkdir -p "$1"
	(cd "$GONS_TEST_SRC" && tar -cf - --exclude=.git --exclude='*.o' \
	    --exclude='*.pico' --exclude='*.a' --exclude='*.so*' \
	    --exclude='*.d' --exclude='build.*' --exclude='stage' \
	    --exclude='*_test' --exclude='results*' --exclude='h_*[!c]' \
	    Makefile Makefile.inc GNUmakefile install.mk include lib man \
	    pkgconfig examples tests) | tar -xf - -C "$1"
	(cd "$1" && "${GONS_TEST_MAKE:-bmake}" clean >make.log 2>&1 && rm make.log)
}

atf_test_case reproducible
reproducible_head()
{
	atf_set descr "two builds in different directories are the same bytes"
}
reproducible_body()
{
	settled
	sources "$PWD/one"
	sources "$PWD/somewhere/else"
	(cd one && find . | LC_ALL=C sort) >before

	# In place, with one job; elsewhere, with many.
	make_in "$PWD/one" MAKEOBJDIRPREFIX="$PWD/obj" CC="$own_cc" JSON=$json \
	    PREFIX=$prefix DESTDIR="$PWD/dest1" install
	(cd one && find . | LC_ALL=C sort) >after
	# What is built elsewhere leaves the sources alone.
	atf_check -o file:before cat after
	make_in "$PWD/somewhere/else" -j16 CC="$own_cc" JSON=$json \
	    PREFIX=$prefix DESTDIR="$PWD/another" all install
	atf_check diff -r --no-dereference dest1 another
	# And once more, from the beginning.
	make_in "$PWD/somewhere/else" clean
	make_in "$PWD/somewhere/else" -j2 CC="$own_cc" JSON=$json \
	    PREFIX=$prefix DESTDIR="$PWD/third" install
	atf_check diff -r --no-dereference dest1 third
	# Cleaned, there is what there was.
	make_in "$PWD/somewhere/else" clean
	(cd somewhere/else && find . | LC_ALL=C sort) >after
	atf_check -o file:before cat after
}

atf_test_case gnu_make
gnu_make_head()
{
	atf_set descr "a plain make says what to do, or does it"
	atf_set require.progs make
}
gnu_make_body()
{
	settled
	make --version 2>/dev/null | grep -q GNU || atf_skip "no GNU make"
	sources "$PWD/src"
	mkdir bin
	for prog in sh make cc ls; do
		ln -s "$(command -v $prog)" bin/$prog
	done
	atf_check -s not-exit:0 -o ignore -e match:bmake -e match:bootstrap \
	    env -i PATH="$PWD/bin" HOME="$PWD" make -C src
	atf_check -o ignore -e ignore env -i PATH="$PATH" HOME="$PWD" \
	    CC="$own_cc" JSON=no make -C src
	[ -e src/lib/libgons.so.0 ] || atf_fail "make has built nothing"
	atf_check -o ignore -e ignore env -i PATH="$PATH" HOME="$PWD" \
	    CC="$own_cc" make -C src JSON=no PREFIX=$prefix \
	    DESTDIR="$PWD/dest" install
	[ -e "dest$prefix/lib/libgons.so.0" ] ||
	    atf_fail "make install has installed nothing"
}

atf_init_test_cases()
{
	# shellcheck source=tests/common.sh
	. "$(atf_get_srcdir)/common.sh"
	for tc in files components objects manual pc flags early_code \
	    hardened reproducible gnu_make; do
		atf_add_test_case $tc
	done
}
