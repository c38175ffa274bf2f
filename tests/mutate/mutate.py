# SPDX-License-Identifier: BSD-2-Clause
#
# mutate.py SOURCES DIRECTORY MUTANTS SEED [FILE[:LINE]...]: see mk/mutate.mk.
#
# DIRECTORY/sound has the sources as they are, and their objects; each worker has
# a copy of it.  For a fault a worker compiles one file, joins its object, and
# links each test program when the first of its cases is due, with objects of
# tests that were compiled once.  cases.py runs the cases, the quickest first.
# The next run uses what is in DIRECTORY, also what became of each fault: a run
# that was interrupted goes on, and after a new test only survivors are tried.

import bisect
import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faults import faults

def number(name, text, least):
    if not re.fullmatch(r"\d+", text) or int(text) < least:
        sys.exit("mutate: %s=%s: not a number of %d or more" %
                 (name, text, least))
    return int(text)


WORKERS = number("WORKERS", os.environ.get("WORKERS", "2"), 1)
# Most cases wait for another process most of their time.
SLOTS = 3
# s that a case is taken to need until it has been run.
UNKNOWN = 5
# Of those that take no longer than such a time, a program's are run together:
# each has to be linked first.
STEPS = (0.25, 1, 4)
LONG = 2
# What the cases, and the compilers that they start, need.
KEPT = ("PATH", "MAKE", "CC")


class Tree:
    """A directory with sources, objects and programs in it."""

    def __init__(self, top):
        self.top = top
        self.lib, self.tests = top / "lib", top / "tests"
        self.log = top / "log"
        self.log.unlink(missing_ok=True)

    def run(self, command, where):
        """True if that command of the shell succeeds."""
        with open(self.log, "a") as log:
            return subprocess.run(command, shell=True, cwd=where, stdout=log,
                                  stdin=subprocess.DEVNULL,
                                  stderr=log).returncode == 0

    def cases(self, plan, done, stop, name="run"):
        """Runs the cases and tells done() what became of each."""
        where, log_name = self.top / name, self.top / ("log-" + name)
        command = ["unshare", "-m", "-p", "-f", "--mount-proc", "--kill-child"]
        if os.geteuid() != 0:
            command.insert(1, "-r")
        shutil.rmtree(where, ignore_errors=True)
        plan = dict(plan, programs=str(self.tests), slots=SLOTS, stop=stop,
                    run=str(where))
        # Paths of the sound sources become those of this tree.
        text = json.dumps(plan).replace(plan.pop("sound"), str(self.top))
        with open(log_name, "w") as log, subprocess.Popen(
                command + [sys.executable, "-B",
                           str(Path(__file__).parent / "cases.py"),
                           str(self.top)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True) as child:
            child.stdin.write(text)
            child.stdin.close()
            for line in child.stdout:
                done(*json.loads(line))
        if child.returncode != 0:
            raise RuntimeError("cases.py failed, see %s" % log_name)


class Sound(Tree):
    """The sources without a fault."""

    def __init__(self, sources, directory):
        super().__init__(directory / "sound")
        self.objects = directory / "objects"
        self.objects.mkdir(exist_ok=True)
        self.environment = {name: os.environ[name] for name in KEPT
                            if name in os.environ}
        self.copy(sources)
        self.known = Known(self)
        self.build("lib", "-j2 autostart.o libgons.a")
        self.read_library()
        self.build("tests", "-j2 ${SOBJS} ${POBJS} ${ATF_OBJS} h_target "
                   "${DATA:S,^,${.OBJDIR}/,}")
        self.read_tests()
        self.measured = self.top / "measured"
        self.ready = set()
        self.times = {}
        if self.measured.exists():
            self.times = json.loads(self.measured.read_text())

    def copy(self, sources):
        """What is unchanged keeps its time, so that make leaves it alone."""
        self.copied = set()
        for root in ("Makefile.inc", "lib", "tests", "include", "mk"):
            path = sources / root
            for each in [path] if path.is_file() else path.rglob("*"):
                if each.is_dir() or each.suffix in (".o", ".pico", ".d", ".a"):
                    continue
                name = each.relative_to(sources)
                if name.parts[:2] == ("tests", "mutate"):
                    continue
                copy = self.top / name
                self.copied.add(copy)
                if not (copy.exists() and
                        copy.read_bytes() == each.read_bytes()):
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(each, copy)
        for each in list(self.top.rglob("*.[ch]")):
            if each not in self.copied:
                each.unlink()

    def digest(self, *names):
        """Of all sources there."""
        found = hashlib.sha256()
        for name in names:
            path = self.top / name
            for each in sorted([path] if path.is_file() else path.rglob("*")):
                if each in self.copied:
                    found.update(str(each.relative_to(self.top)).encode())
                    found.update(each.read_bytes())
        return found.hexdigest()

    def make(self, where, *arguments):
        command = [os.environ.get("MAKE", "bmake"), "-C",
                   str(self.top / where), "CFLAGS=-O2"]
        return subprocess.run(command + list(arguments), check=True, text=True,
                              env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT).stdout

    def ask(self, where, expressions):
        """What make makes of them: a list."""
        key = "\n".join([where] + expressions)
        if key not in self.known.answers:
            arguments = [word for each in expressions for word in ("-V", each)]
            self.known.answers[key] = self.make(where, *arguments)
            self.known.save()
        return self.known.answers[key].split("\n")[:-1]

    def build(self, where, targets):
        if self.known.built.get(where + targets) == self.known.sources:
            return
        words = " ".join(self.ask(where, [targets])).split()
        try:
            self.make(where, *words)
            self.known.built[where + targets] = self.known.sources
            self.known.save()
        except subprocess.CalledProcessError as error:
            sys.exit("mutate: does not build: " + error.stdout)

    def read_library(self):
        """How each file is compiled, and how its object is put together."""
        objects, have_json = self.ask("lib", ["${OBJECTS_ALL}",
                                              "${GONS_HAVE_JSON}"])
        objects = objects.split()
        if have_json == "yes":
            self.build("lib", "libgons_json.a")
            objects.append("json")
        self.files = {}
        said = self.ask("lib", [each.replace("NAME", name)
                                for name in objects for each in (
            "${PARTS.NAME}", "${SUFFIX.NAME}",
            "${CC} ${CFLAGS} -fno-lto -r -nostdlib -o NAME.o ${POBJS.NAME}",
            "${COMPILE:N-MD:N-MP:N-MF:N*.d} -fPIC ${FLAGS.NAME} -fno-lto")])
        for i, name in enumerate(objects):
            parts, suffix, join, compiler = said[4 * i:4 * i + 4]
            archive = "libgons_json.a" if name == "json" else "libgons.a"
            after = "ar rcsD %s %s.o" % (archive, name)
            if suffix != ".o":
                after = join + " && " + after
            for part in parts.split():
                built = part[:-2] + suffix
                self.files[part] = (built, "%s -c -o %s %s/%s" % (
                    compiler, built, self.lib, part), after)

    def read_tests(self):
        """How the object of a test is compiled and its program linked."""
        names, helpers, environment = self.ask("tests", [
            "${TESTS_C} ${TESTS_JSON}", "${HELPERS}", "${TESTENV}"])
        environment = subprocess.run(
            "env -i %s env" % environment, shell=True, check=True, text=True,
            env=self.environment, stdout=subprocess.PIPE).stdout
        self.variables = dict(
            line.split("=", 1) for line in environment.split("\n") if line)
        self.variables.update(self.environment)
        self.programs, helpers = names.split(), helpers.split()
        every = self.programs + helpers
        said = self.ask("tests", [each.replace("NAME", name)
                                  for name in every for each in (
            "${COMPILE.NAME:N-MD:N-MP:N-MF:N*.d} ${INCLUDES} ${FLAGS.NAME}",
            "${SRC.NAME}", "${LDFLAGS} ${LINKFLAGS} -o NAME " +
            str(self.objects) + "/NAME.o ${MORE.NAME} ${WITH.NAME} "
            "${LATE.NAME} ${LIBS.NAME}", "${MORE.NAME}")])
        self.compilers, self.links = {}, {}
        for i, name in enumerate(every):
            compiler, source, link, more = said[4 * i:4 * i + 4]
            self.compilers[name] = (source, "%s -c -o %s/%s.o %s" % (
                compiler, self.objects, name, source))
            self.links[name] = [compiler + " " + link]
            texts = [Path(source)] + [
                self.tests / "support" / (part[:-2] + ".c")
                for part in more.split() if part != "helpers.o"]
            for helper in helpers:
                if any(text.exists() and helper in text.read_text()
                       for text in texts) and helper != name:
                    self.links[name].append(helper)
        for name in self.programs:
            self.links[name] = [self.links[each][0] if each in helpers else each
                                for each in self.links[name]]
        self.helpers = helpers

    def compile_tests(self, names):
        """Compiles what is older than its source or any header."""
        headers = max(each.stat().st_mtime for each in self.top.rglob("*.h"))
        commands = []
        for name in names:
            source, command = self.compilers[name]
            built = self.objects / (name + ".o")
            if not built.exists() or built.stat().st_mtime <= max(
                    headers, Path(source).stat().st_mtime):
                commands.append(command)
        with ThreadPoolExecutor(WORKERS) as pool:
            for built in pool.map(
                    lambda each: self.run(each, self.tests), commands):
                if not built:
                    sys.exit("mutate: does not build, see %s" % self.log)

    def plan(self, cases):
        return {"sound": str(self.top), "environment": self.variables,
                "link": self.links, "cases": cases}

    def prepare(self, names):
        """Links those programs, and asks which cases they have."""
        names = [name for name in names if name not in self.ready]
        self.compile_tests([name for name in names + self.helpers
                            if name not in self.ready])
        self.ready.update(self.helpers)
        for name in names:
            for command in self.links[name]:
                if not self.run(command, self.tests):
                    sys.exit("mutate: does not link, see %s" % self.log)
            listed = subprocess.run(
                [str(self.tests / name), "-s", str(self.tests), "-l"],
                check=True, stdout=subprocess.PIPE, text=True).stdout
            known = self.times.get(name, {})
            self.times[name] = {case: known.get(case, UNKNOWN) for case in
                                re.findall("^ident: (.*)", listed, re.M)}
            self.ready.add(name)

    def learn(self, program, case, seconds):
        """How long a case takes, with a fault that it does not notice."""
        old = self.times[program].get(case)
        if old is not None:
            self.times[program][case] = (seconds if old == UNKNOWN
                                         else min(old, seconds))

    def leave_out(self, program, case, why):
        """It fails without a fault."""
        if self.times[program].pop(case, None) is not None:
            print("mutate: without %s:%s: %s" % (program, case, why),
                  flush=True)

    def save(self):
        self.measured.write_text(json.dumps(
            {name: dict(cases) for name, cases in self.times.items()}))


class Known:
    """What make has said and built, since to ask it again takes a minute."""

    def __init__(self, sound):
        self.name = sound.top / "known"
        self.rules = sound.digest("Makefile.inc", "mk", "lib/Makefile",
                                  "tests/Makefile")
        self.sources = sound.digest("Makefile.inc", "mk", "lib", "tests",
                                    "include")
        self.answers, self.built = {}, {}
        if self.name.exists():
            rules, answers, built = json.loads(self.name.read_text())
            if rules == self.rules:
                self.answers, self.built = answers, built

    def save(self):
        self.name.write_text(json.dumps(
            [self.rules, self.answers, self.built]))


class Outcomes:
    """What became of each fault, in a file that outlives an interruption."""

    def __init__(self, sound, name):
        self.name = name
        self.library = sound.digest("lib", "include", "mk", "Makefile.inc")
        self.tests = sound.digest("tests")
        self.known = {}
        if name.exists():
            for line in name.read_text().splitlines():
                self.learn(*json.loads(line))

    def learn(self, key, word, library, tests):
        # More tests may notice what survived, and not less of the rest.
        if library == self.library and (word != "survived" or
                                        tests == self.tests):
            self.known[tuple(key)] = word

    def add(self, fault, word):
        with open(self.name, "a") as out:
            out.write(json.dumps([fault.key(), word, self.library,
                                  self.tests]) + "\n")


class Worker(Tree):
    """A copy of the tree that faults are planted in."""

    def __init__(self, sound, number):
        super().__init__(sound.top.with_name("worker%d" % number))
        self.sound = sound
        self.number = number
        shutil.rmtree(self.top, ignore_errors=True)
        shutil.copytree(sound.top, self.top,
                        ignore=shutil.ignore_patterns("run*"))

    def command(self, text):
        return text.replace(str(self.sound.top), str(self.top))

    def judge(self, fault, programs, kills):
        """What becomes of it: a word, and why."""
        built, compiler, after = self.sound.files[fault.path]
        source = self.lib / fault.path
        sound = (self.sound.lib / built).read_bytes()
        original = source.read_text()
        try:
            source.write_text(fault.text)
            if not self.run(self.command(compiler), self.lib):
                return "does not compile", ""
            if (self.lib / built).read_bytes() == sound:
                return "same code", ""
            if not self.run(self.command(after), self.lib):
                return "does not compile", ""
            return self.try_cases(fault, programs, kills)
        finally:
            source.write_text(original)
            (self.lib / built).write_bytes(sound)
            # The next fault may be in another object of the archive.
            self.run(self.command(after), self.lib)

    def try_cases(self, fault, programs, kills):
        def rank(each):
            """Killers of this file, then by how long, as the table names it."""
            name, case, seconds = each
            count = kills.get((fault.path, name, case), 0)
            return (-count if seconds < LONG else 0,
                    bisect.bisect(STEPS, seconds), programs.index(name),
                    seconds)

        every = [(name, case, seconds) for name in programs
                 for case, seconds in list(self.sound.times[name].items())]
        left = [(name, case, 30 + 10 * seconds)
                for name, case, seconds in sorted(every, key=rank)]
        limits = {each[:2]: each[2] for each in left}
        while left:
            found = []

            def done(program, case, word, why, seconds, _):
                if word in ("failed", "late"):
                    found.append((program, case, word, why))
                else:
                    self.sound.learn(program, case, seconds)

            self.cases(self.sound.plan(left), done, True)
            for program, case, word, why in found:
                if (self.passes(program, case, word == "late") and
                        self.fails(program, case, limits[program, case])):
                    key = (fault.path, program, case)
                    kills[key] = kills.get(key, 0) + 1
                    return ("timed out" if word == "late" else "killed",
                            "%s:%s: %s" % (program, case, why))
            if not found:
                break
            # Those before it in the list may have been running.
            failed = {(program, case) for program, case, _, _ in found}
            left = [each for each in left if each[:2] not in failed]
        return "survived", ""

    def fails(self, program, case, limit):
        """Once more, with nothing beside it."""
        said = []
        self.cases(self.sound.plan([(program, case, limit)]),
                   lambda *words: said.append(words[2]), False)
        return said[0] in ("failed", "late")

    def passes(self, program, case, soon):
        """Is it the fault, and not the load, that a case fails for?"""
        said = []
        plan = self.sound.plan([(program, case, 10 if soon else 120)])
        self.sound.cases(dict(plan, link={}),
                         lambda *words: said.append(words[2:4]), False,
                         "run%d" % self.number)
        for word, why in said:
            if word == "failed":
                self.sound.leave_out(program, case, why)
        return [word for word, _ in said] == ["passed"]


def read_table(name, programs):
    """Which tests answer for which file."""
    table = []
    for line in name.read_text().split("\n"):
        words = line.split()
        if words and not line.startswith("#"):
            table.append((words[0], list(dict.fromkeys(
                program for each in words[1:]
                for program in fnmatch.filter(programs, each)))))

    def tests(path):
        for pattern, found in table:
            if fnmatch.fnmatch(path, pattern + ".c"):
                return found
        sys.exit("mutate: %s has no tests for %s" % (name, path))

    return tests


def read_equivalents(name):
    """The faults of that list, each with a reason."""
    known = set()
    for line in name.read_text().split("\n"):
        fields = line.split("\t")
        if line.startswith("#") or line == "":
            continue
        if len(fields) != 6 or fields[5] == "":
            sys.exit("mutate: %s: not six fields: %s" % (name, line))
        known.add(tuple(fields[:5]))
    return known


def complain_of_old(known, every):
    """The sources have changed, and a line of the list fits no more."""
    there = {fault.key() for fault in every}
    files = {fault.path for fault in every}
    for key in sorted(known - there):
        if key[0] in files:
            print("mutate: tests/mutate/equivalent names a fault that is not "
                  "there (mistyped, or the source has changed): %s" %
                  "\t".join(key))


def split(wanted, known):
    """FILE, or FILE:LINE, each perhaps as it is told: a file and a line."""
    found = []
    for each in wanted:
        name, colon, line = each.removeprefix("lib/").partition(":")
        if name not in known:
            sys.exit("mutate: FILES=%s: no file of the library, as order.c or "
                     "order.c:57" % each)
        found.append((name, number("FILES=%s:LINE, LINE" % name, line, 1)
                      if colon else None))
    return found


def choose(every, wanted, count, seed):
    """All the faults of the lines; of whole files so many."""
    lines = {each for each in wanted if each[1] is not None}
    whole = {name for name, line in wanted if line is None}
    chosen = [fault for fault in every if (fault.path, fault.line) in lines]
    # A change of the sources leaves the same ones elsewhere, and the first of
    # them are a smaller choice.
    return chosen + sorted(
        (fault for fault in every if fault not in chosen and
         (fault.path in whole or not wanted)),
        key=lambda fault: hashlib.sha256("\0".join(
            (str(seed),) + fault.key()).encode()).digest())[:count]


def summary(results):
    total = {}
    for fault, word in results:
        total.setdefault(fault.path, []).append(word)
    total["all"] = [word for _, word in results]
    print()
    for path, words in sorted(total.items(), key=lambda each:
                              (each[0] == "all", each[0])):
        print("%s: %s" % (path, ", ".join(
            "%d %s" % (words.count(word), word)
            for word in sorted(set(words)))))
    noticed = [word for _, word in results if word in ("killed", "timed out")]
    survivors = [fault for fault, word in results if word == "survived"]
    print("%d noticed, %d survived" % (len(noticed), len(survivors)))
    for fault in survivors:
        print("survived: %s" % fault)
    if survivors:
        print("\nAs lines of tests/mutate/equivalent, which need a reason:")
    for fault in survivors:
        print("\t".join(fault.key() + ("",)))


def main():
    sources, directory = Path(sys.argv[1]), Path(sys.argv[2])
    count = number("MUTANTS", sys.argv[3], 1)
    seed = number("SEED", sys.argv[4], 0)
    known = {each.name for each in (sources / "lib").glob("*.c")}
    wanted = split(sys.argv[5:], known)
    directory.mkdir(parents=True, exist_ok=True)
    sound = Sound(sources, directory)
    files = sorted({name for name, _ in wanted} or sound.files)
    every = []
    for name in files:
        every += faults(name, (sound.lib / name).read_text())
    data = sources / "tests/mutate"
    complain_of_old(read_equivalents(data / "equivalent"), every)
    tests = read_table(data / "tests", sound.programs)
    chosen = choose(every, wanted, count, seed)
    if not chosen:
        sys.exit("mutate: no fault can be planted there")
    print("mutate: %d of %d faults, seed %d" % (len(chosen), len(every), seed),
          flush=True)

    queue = list(chosen)
    outcomes = Outcomes(sound, directory / "outcomes")
    results = []
    kills = {}
    lock, preparing = threading.Lock(), threading.Lock()

    def work(worker):
        while True:
            with lock:
                if not queue:
                    return
                # Meanwhile another worker may be linking tests.
                fault = next((each for each in queue if
                              sound.ready.issuperset(tests(each.path))),
                             queue[0])
                queue.remove(fault)
            began = time.monotonic()
            # The list may grow meanwhile.
            if fault.key() in read_equivalents(data / "equivalent"):
                word, why = "equivalent", ""
            elif fault.key() in outcomes.known:
                word, why = outcomes.known[fault.key()], "an earlier run"
            else:
                if not sound.ready.issuperset(tests(fault.path)):
                    with preparing:
                        sound.prepare(tests(fault.path))
                began = time.monotonic()
                word, why = worker.judge(fault, tests(fault.path), kills)
                with lock:
                    outcomes.add(fault, word)
                    sound.save()
            with lock:
                results.append((fault, word))
                print("%s: %s%s (%d s)" % (
                    word, fault, " by " + why if why else "",
                    time.monotonic() - began), flush=True)

    def work_or_end(worker):
        try:
            work(worker)
        except BaseException as error:
            # Otherwise this thread would end, and leave out what is left.
            print(error if isinstance(error, SystemExit)
                  else "mutate: %r" % error, flush=True)
            os._exit(1)

    threads = [threading.Thread(target=work_or_end,
                                args=(Worker(sound, number),), daemon=True)
               for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        print("\nmutate: interrupted after %d faults; the same command goes on"
              % len(results), flush=True)
        os._exit(130)
    results.sort(key=lambda each: (each[0].path, each[0].line))
    summary(results)


main()
