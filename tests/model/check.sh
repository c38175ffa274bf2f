# SPDX-License-Identifier: BSD-2-Clause
#
# check.sh SPIN CC DIRECTORY MODEL:SETTING,... WANT DEPTH MEMORY
#
# Looks at each state of a model.  WANT is 0 if it must have no error, 1 if it
# must have one.

set -u
spin=$1 cc=$2 source=$3 variant=$4 want=$5 depth=$6 memory=$7
model=${variant%%:*}
settings=$(echo "${variant#*:}" | tr , ' ')
dir=pan.$$
mkdir "$dir" && cd "$dir" || exit 1
trap 'cd .. && rm -rf "$dir"' EXIT
trap 'exit 130' HUP INT TERM

# What spin prints into the current directory it reads there, too.
cp "$source"/*.pml .
# shellcheck disable=SC2086
if ! { $spin $settings -a "$model.pml" &&
    $cc -DSAFETY -DNOFAIR -DMEMLIM="$memory" -DVECTORSZ=2048 -o pan pan.c
    } >log 2>&1; then
	cat log
	exit 1
fi
./pan -w20 -m"$depth" >log 2>&1
errors=$(sed -n 's/^State-vector.*errors: \([0-9]*\)$/\1/p' log)
states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' log)
if grep -q -e 'Search not completed' -e 'max search depth' log &&
    [ "${errors:-0}" -eq 0 ]; then
	errors=incomplete
fi
echo "$variant: errors ${errors:-none told}, ${states:-no} states"
[ "$errors" = "$want" ] && exit 0
cat log
# shellcheck disable=SC2086
$spin $settings -t -p -l -g "$model.pml" | tail -n 200
exit 1
