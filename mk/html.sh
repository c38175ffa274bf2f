#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# html.sh MANUAL DIRECTORY VERSION PAGE...: makes linked pages of the manual,
# with mandoc(1), and an index by task, of MANUAL/tasks.  Pages of others are
# looked for where those of Linux are published.

set -eu

manual=$1
out=$2
version=$3
shift 3
linux='https://man7.org/linux/man-pages/man%S/%N.%S.html'

rm -rf "$out"
mkdir -p "$out"
cp "$manual/style.css" "$out"
cd "$out"

# The file "names" has a line "name page title" for each name of each page.  The
# name of the page's file comes first.
for page; do
	awk -v page="$page" '
		BEGIN { own = substr(page, 1, length(page) - 2); name[++n] = own }
		/^\.Sh / { on = $2 == "NAME"; next }
		on && $1 == ".Nm" && $2 != own { name[++n] = $2 }
		on && $1 == ".Nd" { title = substr($0, 5) }
		END { for (i = 1; i <= n; i++) print name[i], page, title }
	' "$manual/$page"
done >names
# mandoc links to files that are there.
while read -r name page _; do
	file=$name.${page##*.}
	if [ "$file" = "$page" ]; then
		: >"$file.html"
	else
		ln -s "$page.html" "$file.html"
	fi
done <names

for page; do
	mandoc -T html -I os=libgons \
	    -O "style=style.css,toc,man=%N.%S.html;$linux" "$manual/$page" |
	    sed '/<body>/s|$|<nav><a href="index.html">libgons</a></nav>|' \
	    >"$page.new"
	mv "$page.new" "$page.html"
done

{
	cat <<-END
	<!DOCTYPE html>
	<html lang="en">
	<head>
	<meta charset="utf-8"/>
	<meta name="viewport" content="width=device-width, initial-scale=1.0"/>
	<link rel="stylesheet" href="style.css" type="text/css"/>
	<title>libgons $version</title>
	</head>
	<body>
	<h1 class="title">libgons $version</h1>
	END
	awk -F '\t' '
	FILENAME == "names" {
		split($0, word, " ")
		page[word[1]] = word[2]
		next
	}
	/^#/ { next }
	NF == 1 {
		if (list)
			print "</ul>"
		list = 1
		print "<h2>" $1 "</h2>\n<ul>"
		next
	}
	!($2 in page) {
		print "html: tasks: no page names " $2 >"/dev/stderr"
		failed = 1
		next
	}
	{
		anchor = ""
		shown = page[$2]
		sub(/\.[1-9]$/, "", shown)
		if ($3 != "")
			anchor = "#" $3
		else if (shown != $2)
			anchor = "#" $2
		gsub(/ /, "_", anchor)
		printf "<li>%s: <a href=\"%s.html%s\">%s</a></li>\n", $1, \
		    page[$2], anchor, $2
	}
	END {
		print "</ul>"
		exit failed
	}' names "$manual/tasks"
	echo '<h2>All pages</h2>'
	echo '<dl>'
	for page; do
		sed -n "s|^[^ ]* $page \(.*\)|<dt><a href=\"$page.html\">$page</a></dt><dd>\1</dd>|p" \
		    names | head -n 1
	done
	echo '</dl>'
	echo '</body>'
	echo '</html>'
} >index.html
rm names
echo "$out/index.html"
