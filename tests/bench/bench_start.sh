# SPDX-License-Identifier: BSD-2-Clause
#
# Start-up in 0, 1, 3 and 7 namespaces, those this process is in: a program
# with the library, the same with a constructor written by hand, both linked
# statically and as shared libraries, nsenter(1) before the same program without
# either, and that program alone.

set -u
: "${GONS_TEST_OBJ:?}" "${GONS_TEST_SRC:?}"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

cat >"$dir/plain.c" <<-'END'
	int main(void) { return 0; }
END
cat >"$dir/hand.c" <<-'END'
	#include <fcntl.h>
	#include <sched.h>
	#include <stdlib.h>
	#include <unistd.h>
	static const char *const v[] = { "gons_mnt", "gons_cgroup",
	    "gons_ipc", "gons_net", "gons_pid", "gons_time", "gons_uts" };
	static const int t[] = { 0x20000, 0x2000000, 0x8000000, 0x40000000,
	    0x20000000, 0x80, 0x4000000 };
	__attribute__((constructor)) static void join(void)
	{
		for (int i = 0; i < 7; i++) {
			const char *p = getenv(v[i]);
			int fd;
			if (p == NULL)
				continue;
			if ((fd = open(p, O_RDONLY | O_CLOEXEC)) == -1 ||
			    setns(fd, t[i]) == -1)
				_exit(1);
			close(fd);
			unsetenv(v[i]);
		}
	}
	int main(void) { return 0; }
END
sed '/^int main/d' "$dir/hand.c" >"$dir/hand-shared.c"
cc=${CC:-cc}
lib=$GONS_TEST_OBJ/lib
cp "$lib/libgons.so.0" "$dir/" &&
    $cc -O2 -o "$dir/plain" "$dir/plain.c" &&
    $cc -O2 -D_GNU_SOURCE -o "$dir/hand" "$dir/hand.c" &&
    $cc -O2 -o "$dir/with" "$dir/plain.c" "$lib/autostart.o" "$lib/libgons.a" &&
    $cc -O2 -D_GNU_SOURCE -fPIC -shared -Wl,-z,now -Wl,-soname,libhand.so.0 \
    -o "$dir/libhand.so.0" "$dir/hand-shared.c" &&
    $cc -O2 -o "$dir/hand-shared" "$dir/plain.c" -Wl,--no-as-needed \
    "$dir/libhand.so.0" -Wl,-rpath,"$dir" &&
    $cc -O2 -o "$dir/with-shared" "$dir/plain.c" -Wl,--no-as-needed \
    "$dir/libgons.so.0" -Wl,-rpath,"$dir" &&
    $cc -O2 -D_GNU_SOURCE -o "$dir/start" \
    "$GONS_TEST_SRC/tests/bench/start.c" || exit 1
"$dir/start" "$dir"
