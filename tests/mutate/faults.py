# SPDX-License-Identifier: BSD-2-Clause
#
# The small faults that can be planted in a source: each changes one place.

import re

TOKEN = re.compile(r"""
    (?P<skip>/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*'
        | ^[ \t]*\#(?:\\\n|[^\n])*)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<number>0[xX][0-9a-fA-F]+|\d+)(?P<suffix>[uUlL]*)
    | (?P<mark><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[^\s])
""", re.X | re.S | re.M)
FUNCTION = re.compile(r"^([A-Za-z_]\w*)\(", re.M)
ERRNO = re.compile(r"E[A-Z0-9]{3,}")

TURNED = {
    "<": ["<=", ">"], "<=": ["<"], ">": [">=", "<"], ">=": [">"],
    "==": ["!="], "!=": ["=="], "&&": ["||"], "||": ["&&"],
    "++": ["--"], "--": ["++"], "+=": ["-="], "-=": ["+="],
}
KEYWORDS = {"if", "while", "for", "switch", "return", "sizeof", "do", "else",
            "case", "goto"}


class Fault:
    def __init__(self, path, text, start, end, new):
        self.path = path
        self.text = text[:start] + new + text[end:]
        self.line = text.count("\n", 0, start) + 1
        names = FUNCTION.findall(text, 0, start)
        self.function = names[-1] if names else ""
        self.source = " ".join(text.split("\n")[self.line - 1].split())
        self.old = " ".join(text[start:end].split())
        self.new = " ".join(new.split())
        self.nth = 1

    def was(self):
        return self.old if self.nth == 1 else "%s (%d)" % (self.old, self.nth)

    def key(self):
        return (self.path, self.function, self.source, self.was(), self.new)

    def __str__(self):
        return "lib/%s:%d: %s: \"%s\" became \"%s\"" % (
            self.path, self.line, self.source, self.was(), self.new)


def tokens(text):
    """What is code: no comment, literal, or line of the preprocessor."""
    return [match for match in TOKEN.finditer(text)
            if match.group("skip") is None]


def closing(found, i):
    """The index of the parenthesis that closes the one at i."""
    depth = 0
    for j in range(i, len(found)):
        if found[j].group() == "(":
            depth += 1
        elif found[j].group() == ")":
            depth -= 1
            if depth == 0:
                return j
    return None


def changed_number(token):
    """One more and one less, written as the number was."""
    digits = token.group("number")
    octal = re.fullmatch("0[0-7]+", digits) is not None
    value = int(digits, 8 if octal else 0)
    for other in (value + 1, value - 1):
        if other > 0:
            yield ("0%o" % other if octal else str(other)) + \
                token.group("suffix")


def faults(path, text):
    """Every fault that can be planted in that text of that file."""
    times = {}
    for fault in places(path, text):
        # Of the same tokens of the same line each is one of its own.
        key = fault.key()
        fault.nth = times[key] = times.get(key, 0) + 1
        yield fault


def places(path, text):
    found = tokens(text)
    level = 0
    for i, token in enumerate(found):
        word = token.group()
        if word in "{}":
            level += 1 if word == "{" else -1
        if level == 0:
            continue
        before = found[i - 1].group()
        after = found[i + 1].group() if i + 1 < len(found) else ""
        start, end = token.span()

        def change(start, end, new):
            # Lines keep their numbers.
            return Fault(path, text, start, end, new + "\n" * (
                text.count("\n", start, end) - new.count("\n")))

        if word in TURNED:
            for new in TURNED[word]:
                yield change(start, end, new)
        elif (token.group("number") and before not in ("case", "[", "return")
              and found[i - 2].group() != "return"):
            for new in changed_number(token):
                yield change(start, end, new)
        elif ERRNO.fullmatch(word) and before != "case":
            yield change(start, end, "EDOM")
        elif word in ("break", "continue") and after == ";":
            yield change(start, end, "")
        elif word in ("if", "while") and after == "(":
            close = closing(found, i + 1)
            if close is not None:
                start, end = found[i + 1].end(), found[close].start()
                yield change(start, end, "!(" + text[start:end] + ")")
        elif word == "return" and after != ";":
            close = i + 1
            while found[close].group() != ";":
                close += 1
            start, end = found[i + 1].start(), found[close].start()
            value = text[start:end].strip("() \t\n")
            # A pointer has no other value to be tried.
            if value != "NULL":
                yield change(start, end, {"0": "-1"}.get(value, "0"))
        elif (token.group("word") and word not in KEYWORDS and after == "(" and
              before in (";", "{", "}", "else", ")")):
            close = closing(found, i + 1)
            # A call by itself; "(void)" before it may stay.
            if close is not None and found[close + 1].group() == ";":
                yield change(start, found[close].end(), "(void)0")
