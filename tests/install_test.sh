# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2015,SC2046,SC2086,SC2119,SC2154
#
# What is installed where, that it goes away again, and what programs find
# there.  Tarballs and packages are in package_test.

# All is installed below this, in a directory for staging.
prefix=/nowhere/gons

# settled: the library is built as it is for others.
settled()
{
	[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
	    atf_skip "the library is built with -fsanitize"
	json=${GONS_TEST_JSON:-no}
	[ "$json" = yes ] || json=no
}

# staged DIRECTORY TARGET...: what is tested, built already; many jobs at once.
staged()
{
	staged_dir=$1
	shift
	build "${GONS_TEST_OBJ%"$GONS_TEST_SRC"}" -j16 CC="$own_cc" JSON=$json \
	    PREFIX=$prefix DESTDIR="$staged_dir" "$@"
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
	for page in "$GONS_TEST_SRC"/man/*.[1-9]; do
		[ -e "$page" ] || continue
		name=${page##*/}
		case $1:$name in
		gons:gons_json*) continue ;;
		gons_json:gons_json*) ;;
		gons_json:*) continue ;;
		esac
		section=${name##*.}
		echo "share/man/man$section/$name 644"
		names "$page" | while read -r other; do
			[ "$other.$section" = "$name" ] ||
			    echo "share/man/man$section/$other.$section -> $name"
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
		lib/libgons.so.0 -> libgons.so.0.1
		lib/libgons.so.0.1 755
		lib/pkgconfig/gons.pc 644
		END
		pages gons
		if [ $json = yes ]; then
			cat <<-END
			include/gons_json.h 644
			lib/libgons_json.a 644
			lib/libgons_json.so -> libgons_json.so.0
			lib/libgons_json.so.0 -> libgons_json.so.0.1
			lib/libgons_json.so.0.1 755
			lib/pkgconfig/gons-json.pc 644
			END
			pages gons_json
		fi
		for example in "$GONS_TEST_SRC"/examples/*.*; do
			case $example in
			*.c | *.cc | *.go | *.py | *.sh) ;;
			*) continue ;;
			esac
			mode=644
			case $example in
			*.py | *.sh) mode=755 ;;
			esac
			echo "share/examples/gons/${example##*/} $mode"
		done
	} | LC_ALL=C sort
}

atf_test_case files
files_head()
{
	atf_set descr "install puts each file where it belongs, and uninstall removes all"
}
files_body()
{
	settled
	contract >expected
	# All at once, by somebody whose own files are private.
	(umask 077 && staged "$PWD/dest" install)
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
	atf_set descr "each file belongs to exactly one component"
}
components_body()
{
	settled
	staged "$PWD/whole" install
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
	atf_check -s exit:1 grep -v '^share/man/man[37]/' names

	# Each is uninstalled by itself.
	for part in examples man dev lib; do
		staged "$PWD/whole" uninstall-$part
	done
	atf_check find whole ! -type d
}

atf_test_case objects
objects_head()
{
	atf_set descr "install-objects installs the named objects, their pages and a header"
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
	links $own_cc -I"dest$prefix/include" -o user user.c \
	    "dest$prefix/lib/gons/order.o" "dest$prefix/lib/gons/envparse.o"
	atf_check ./user
	staged "$PWD/dest" uninstall-objects OBJECTS="order envparse"
	atf_check find dest ! -type d

	staged "$PWD/all" install-objects
	(cd "all$prefix/lib/gons" && ls) >installed
	(cd "$GONS_TEST_SRC/lib" && for object in autostart covmerge envparse \
	    order reexec status switch visit; do
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
	atf_set descr "each link of the manual leads to a page"
}
manual_body()
{
	settled
	staged "$PWD/dest" install-man
	[ -d "dest$prefix/share/man" ] || atf_fail "there is no manual"
	atf_check find "dest$prefix/share/man" -xtype l
	for page in "dest$prefix"/share/man/man[37]/*; do
		# It names what it was found by.
		name=${page##*/}
		[ ! -h "$page" ] || names "$page" | grep -qx "${name%.[37]}" ||
		    atf_fail "$name leads to a page that does not name it"
	done
	# Another place for it.
	staged "$PWD/moved" MANDIR=/nowhere/man install-man
	atf_check diff -r --no-dereference "dest$prefix/share/man" \
	    moved/nowhere/man
}

atf_test_case html
html_head()
{
	atf_set descr "the pages of html and its index lead to what is there"
	atf_set require.progs mandoc
}
html_body()
{
	build "$PWD/obj" html
	cd "obj$GONS_TEST_SRC/man/html" || atf_fail "no html"
	for page in "$GONS_TEST_SRC"/man/*.[1-9]; do
		page=${page##*/}
		atf_check -o match:"href=\"$page.html\">$page" cat index.html
		atf_check -o match:'href="style.css"' cat "$page.html"
	done
	# Each task has a link; each link a file, and a place in it.
	grep -c "	" "$GONS_TEST_SRC/man/tasks" >tasks
	atf_check -o file:tasks grep -c '<li>' index.html
	grep -o 'href="[^"]*"' ./*.html | sed 's/^\([^:]*\):href="\(.*\)"$/\1 \2/' |
	    grep -v ' https://' >links
	atf_check -o not-empty cat links
	for file in *; do
		echo "$file"
	done >places
	grep -o 'id="[^"]*"' ./*.html |
	    sed 's/^\.\/\([^:]*\):id="\(.*\)"$/\1#\2/' >>places
	awk 'NR == FNR { is[$0] = 1; next }
	    { sub(/^\.\//, "", $1); to = $2 ~ /^#/ ? $1 $2 : $2 }
	    !(to in is) { print $1 ": no " to }' places links >missing
	atf_check -o empty cat missing
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

atf_test_case json_missing
json_missing_head()
{
	atf_set descr "installing libgons_json fails where it cannot be built"
}
json_missing_body()
{
	for json in only yes; do
		for target in all install install-lib install-dev; do
			mkdir obj
			atf_check -s not-exit:0 -o ignore \
			    -e match:"JSON=$json: .* finds no jansson" \
			    env -i PATH="$PATH" MAKEOBJDIRPREFIX="$PWD/obj" \
			    CC="$own_cc" PKG_CONFIG=false JSON=$json \
			    DESTDIR="$PWD/dest" "${GONS_TEST_MAKE:-bmake}" \
			    -C "$GONS_TEST_SRC" $target
			[ ! -e dest ] || atf_fail "something is installed"
			rm -rf obj
		done
	done
	# Without its library a directory by itself installs nothing either.
	mkdir obj
	atf_check -s not-exit:0 -o ignore -e ignore env -i PATH="$PATH" \
	    MAKEOBJDIRPREFIX="$PWD/obj" CC="$own_cc" JSON=only \
	    DESTDIR="$PWD/dest" "${GONS_TEST_MAKE:-bmake}" \
	    -C "$GONS_TEST_SRC/lib" install-lib
	# What is not known is not taken for something else.
	atf_check -s not-exit:0 -o ignore -e match:'JSON is auto' env -i \
	    PATH="$PATH" MAKEOBJDIRPREFIX="$PWD/obj" JSON=maybe \
	    "${GONS_TEST_MAKE:-bmake}" -C "$GONS_TEST_SRC"
}

atf_test_case system
system_head()
{
	atf_set descr "programs start after an installation into /usr/local"
	atf_set require.progs unshare
}
system_body()
{
	settled
	PATH=$PATH:/usr/sbin:/sbin ldconfig -p >/dev/null 2>&1 ||
	    atf_skip "ld.so has no cache"
	# Where /usr/local is empty, and /etc and the cache of ldconfig(8) are
	# copies.
	cat >in_system.sh <<-'END'
	set -e
	rm -rf local etc cache
	mkdir -p local etc cache
	cp -a /etc/. etc 2>/dev/null || :
	mount --bind local /usr/local
	mount --bind etc /etc
	mount --bind cache /var/cache
	eval "$1"
	END
	in_system='unshare -m sh in_system.sh'
	[ "$(id -u)" -eq 0 ] || in_system='unshare -rm sh in_system.sh'
	$in_system true || atf_skip "cannot make a mount namespace"
	for prog in ${own_cc%% *} ${GONS_TEST_MAKE:-bmake}; do
		case $(command -v $prog) in
		/usr/local/*) atf_skip "$prog is in /usr/local itself" ;;
		esac
	done
	grep -q -s -r /usr/local/lib /etc/ld.so.conf /etc/ld.so.conf.d ||
	    atf_skip "ld.so does not look in /usr/local/lib"
	cat >version.c <<-'END'
	#include <stdio.h>
	#include <gons.h>
	int main(void) { return puts(gons_version()) == EOF; }
	END
	unset LD_LIBRARY_PATH PKG_CONFIG_PATH MAKEFLAGS MAKELEVEL
	prefix=${GONS_TEST_OBJ%"$GONS_TEST_SRC"}
	install="env MAKEOBJDIRPREFIX=$prefix ${GONS_TEST_MAKE:-bmake}"
	install="$install -C $GONS_TEST_SRC CC='$own_cc' JSON=$json"
	program="$own_cc -o version version.c -I/usr/local/include"
	program="$program -L/usr/local/lib -lgons"

	# It starts, and nothing is said at the end.
	atf_check -o save:said $in_system "$install install >log 2>&1
	    tail -n 1 log
	    $program; ./version"
	atf_check -o inline:"$GONS_TEST_VERSION\n" tail -n 1 said
	atf_check -s exit:1 grep 'is installed, but' log

	# Removed, it is no longer in the cache of ldconfig(8).
	# shellcheck disable=SC2016
	cached='PATH=$PATH:/usr/sbin:/sbin ldconfig -p | grep -c libgons.so.0'
	atf_check -o match:'^1$' -e ignore $in_system "$install install >log
	    $cached"
	atf_check -s exit:1 -o match:'^0$' -e ignore $in_system "
	    $install install >log; $install uninstall >log
	    $cached"

	# With DESTDIR nothing is done, nor said, to this system.
	mkdir bin
	printf '#!/bin/sh\ntouch %s\n' "$PWD/ran" >bin/ldconfig
	chmod 755 bin/ldconfig
	atf_check -o save:said -e ignore $in_system "PATH=$PWD/bin:$PATH \
	    $install install DESTDIR=$PWD/dest"
	atf_check -s exit:1 grep 'is installed, but' said
	atf_check test ! -e ran

	# In a directory that is not searched, it is said.
	for target in install install-lib; do
		atf_check -o save:said -e ignore $in_system "$install $target \
		    PREFIX=$PWD/here"
		atf_check -o match:"^$PWD/here/lib/libgons.so.0 is installed, but .*rpath" \
		    tail -n 1 said
		atf_check -o inline:'1\n' grep -c 'is installed, but' said
	done
}

atf_test_case abi
abi_head()
{
	atf_set descr "abi accepts what is built and finds each break"
	atf_set require.progs "abidiff abidw readelf"
}
abi_body()
{
	settled
	readelf -h "$GONS_TEST_OBJ/lib/libgons.so.0" | grep -q X86-64 ||
	    atf_skip "the reference is of x86-64"
	export CC="$own_cc"
	abi="sh $GONS_TEST_SRC/mk/abi.sh compare $GONS_TEST_SRC/include"
	abi="$abi $GONS_TEST_OBJ/lib"
	atf_check -o match:'^abi: libgons$' $abi "$GONS_TEST_SRC/mk/abi"
	readelf -S "$GONS_TEST_OBJ/lib/libgons.so.0" | grep -q debug_info ||
	    atf_skip "the library has no debugging information"
	# A function is gone; structures had another size or order, with and
	# without room for new members; a function had one more parameter.
	while read -r name expression; do
		rm -rf abi
		cp -R "$GONS_TEST_SRC/mk/abi" .
		atf_check -o not-file:abi/$name.abi -o save:changed \
		    sed -e "$expression" abi/$name.abi
		mv changed abi/$name.abi
		atf_check -s not-exit:0 -e ignore -o match:"^abi: $name\$" \
		    $abi abi
	done <<-'END'
	libgons s/gons_version/gons_version_gone/g
	libgons /class-decl name='gons_error'/s/size-in-bits='[0-9]*'/size-in-bits='64'/
	libgons /class-decl name='gons_step'/s/size-in-bits='[0-9]*'/size-in-bits='128'/
	libgons /class-decl name='gons_env'/,/class-decl>/s/name='action'/name='onerror'/
	libgons /function-decl name='gons_version'/s/$/<parameter type-id='type-id-14'\/>/
	libgons_json s/gons_json_input/gons_json_gone/g
	END
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
		for flags in -O0 -Os -O3 '-O2 -ftrivial-auto-var-init=zero' \
		    '-O2 -ftrivial-auto-var-init=pattern'; do
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
	atf_set descr "the flags of packagers for hardening and -flto work"
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
		rm -rf obj inst
		build "$PWD/obj" -j2 CC=$cc JSON=no WERROR=yes \
		    CFLAGS="$hard -flto" LDFLAGS="$now -flto" \
		    PREFIX="$PWD/inst" install
		export PKG_CONFIG_PATH="$PWD/inst/lib/pkgconfig"
		export LD_LIBRARY_PATH="$PWD/inst/lib"
		readelf -dW inst/lib/libgons.so.0 >dynamic
		atf_check -o match:INITFIRST -o match:'SONAME.*\.so\.0' \
		    cat dynamic
		for how in '' -static; do
			# By a compiler that is another one, too.
			links gcc $how -o app "$data/h_plain.c" \
			    $(pkg-config --cflags --libs gons)
			starts ./app
		done
	done
}

id=0123456789abcdef0123456789abcdef01234567

atf_test_case flags
flags_head()
{
	atf_set descr "the build uses the CFLAGS, CPPFLAGS and LDFLAGS of packagers"
	atf_set require.progs readelf
}
flags_body()
{
	settled
	set -- CFLAGS='-O1 -DA_CFLAG' CPPFLAGS=-DA_CPPFLAG \
	    LDFLAGS="-Wl,--build-id=0x$id"
	build "$PWD/obj" -j2 CC="$own_cc" JSON=no "$@" all
	flags_used
	atf_check -o match:"Build ID: $id" \
	    readelf -n "obj$GONS_TEST_SRC/lib/libgons.so.0.1"

	# In the environment; what would be done tells enough.
	mkdir env
	atf_check -o save:make.log env -i PATH="$PATH" CC="$own_cc" JSON=no \
	    MAKEOBJDIRPREFIX="$PWD/env" "$@" \
	    "${GONS_TEST_MAKE:-bmake}" -n -C "$GONS_TEST_SRC/lib"
	flags_used

	# Without any it is optimised.
	make_in "$GONS_TEST_SRC/lib" MAKEOBJDIRPREFIX="$PWD/env" \
	    CC="$own_cc" JSON=no -n
	compile_commands make.log
	atf_check -s exit:1 grep -v -e ' -O2 ' compiled
}

# compile_commands LOG: one a line, ./compiled and ./linked.
compile_commands()
{
	sed -e ':a' -e '/\\$/N; s/\\\n//; ta' "$1" >joined
	grep -e ' -c -o ' joined >compiled
	grep -e ' -shared ' joined >linked
	[ -s compiled ] || atf_fail "nothing is compiled"
	[ -s linked ] || atf_fail "nothing is linked"
}

flags_used()
{
	compile_commands make.log
	atf_check -s exit:1 grep -v -e '-O1 -DA_CFLAG .*-DA_CPPFLAG' compiled
	atf_check -s exit:1 grep -e '-O2' compiled
	atf_check -s exit:1 grep -v -e '-O1 -DA_CFLAG' linked
	atf_check -s exit:1 grep -v -e "-Wl,--build-id=0x$id" linked
}

atf_test_case gnu_make
gnu_make_head()
{
	atf_set descr "GNU make hands over to bmake, with objects elsewhere and many jobs"
	atf_set require.progs make
}
gnu_make_body()
{
	settled
	make --version 2>/dev/null | grep -q GNU || atf_skip "no GNU make"
	contract >expected
	mkdir obj
	atf_check -o save:log -e save:err env -i PATH="$PATH" HOME="$PWD" \
	    MAKEOBJDIRPREFIX="$PWD/obj" CC="$own_cc" make -C "$GONS_TEST_SRC" \
	    -j16 all install JSON=$json PREFIX=$prefix DESTDIR="$PWD/dest"
	tree "$PWD/dest" >installed
	atf_check -o file:expected cat installed
	# What is built elsewhere leaves the sources alone.
	atf_check find "$GONS_TEST_SRC" -path "$GONS_TEST_SRC/.git" -prune -o \
	    -path "$GONS_TEST_SRC/tests" -prune -o -type f -newer expected \
	    -print
}

atf_test_case no_bmake
no_bmake_head()
{
	atf_set descr "make says what to install where there is no bmake"
	atf_set require.progs make
}
no_bmake_body()
{
	make --version 2>/dev/null | grep -q GNU || atf_skip "no GNU make"
	mkdir bin
	for prog in sh make; do
		ln -s "$(command -v $prog)" bin/$prog
	done
	for goal in '' test; do
		atf_check -s not-exit:0 -o ignore -e match:bmake \
		    -e match:"bootstrap ${goal:-all}" \
		    env -i PATH="$PWD/bin" make -C "$GONS_TEST_SRC" $goal
	done
}

atf_init_test_cases()
{
	# shellcheck source=tests/support/common.sh
	. "$(atf_get_srcdir)/support/common.sh"
	for tc in files components objects manual html pc json_missing system abi flags \
	    early_code \
	    hardened gnu_make no_bmake; do
		atf_add_test_case $tc
	done
}
