# SPDX-License-Identifier: BSD-2-Clause
#
# cases.py DIRECTORY: runs cases of test programs, as the plan says that comes
# on standard input, and prints what became of each.  It stops at the first that
# fails if the plan says so.
#
# A fault may make a program signal every process or remove any file.  So this
# runs as the first process of a PID namespace, and in a mount namespace, where
# it leaves nothing but DIRECTORY to be written to.

import json
import os
import shutil
import signal
import subprocess
import sys
import time


def confine(directory):
    for arguments in (["--bind", directory, directory],
                      ["-o", "remount,bind,ro", "/"]):
        subprocess.run(["mount"] + arguments, check=True)
    # Elsewhere a fault could change modes, too.
    for place in ("/dev", "/dev/shm"):
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=False,
                       stderr=subprocess.DEVNULL)


class Case:
    def __init__(self, plan, number, program, name, limit):
        self.program, self.name = program, name
        self.where = os.path.join(plan["run"], str(number))
        # Cases look at what is in their directory.
        os.makedirs(os.path.join(self.where, "work"))
        os.makedirs(os.path.join(self.where, "tmp"))
        self.began = time.monotonic()
        self.end = self.began + limit
        self.timed_out = False
        self.pid = os.fork()
        if self.pid == 0:
            self.become(plan)

    def become(self, plan):
        try:
            os.setsid()
            os.chdir(os.path.join(self.where, "work"))
            os.umask(0o022)
            null = os.open("/dev/null", os.O_RDONLY)
            said = os.open("../said", os.O_WRONLY | os.O_CREAT, 0o666)
            for fd, old in ((0, null), (1, said), (2, said)):
                os.dup2(old, fd)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            path = os.path.join(plan["programs"], self.program)
            # A case may be in another directory at its end.
            os.execve(path, [path, "-s", plan["programs"], "-r",
                             os.path.join(self.where, "result"),
                             self.name],
                      dict(plan["environment"],
                           TMPDIR=os.path.join(self.where, "tmp")))
        finally:
            os._exit(127)

    def kill(self, timed_out):
        self.timed_out = self.timed_out or timed_out
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def outcome(self, status):
        """In one word, and why."""
        try:
            with open(os.path.join(self.where, "result"),
                      errors="replace") as result:
                text = " ".join(result.read().split())
        except OSError:
            text = "no result"
        if self.timed_out or (os.WIFSIGNALED(status) and
                              os.WTERMSIG(status) == signal.SIGALRM):
            return "late", "after %d s" % (time.monotonic() - self.began)
        if status != 0:
            how = ("signal %d" % os.WTERMSIG(status)
                   if os.WIFSIGNALED(status)
                   else "exit status %d" % os.WEXITSTATUS(status))
            return "failed", "%s: %s" % (
                how, text.replace("; see output for more details", ""))
        word = text.split(":")[0].split(" ")[0]
        return (word if word in ("passed", "skipped") else "failed"), text

    def report(self, status, usage):
        word, why = self.outcome(status)
        print(json.dumps([self.program, self.name, word, why,
                          time.monotonic() - self.began,
                          usage.ru_utime + usage.ru_stime]), flush=True)
        self.kill(False)
        shutil.rmtree(self.where, ignore_errors=True)
        return word in ("failed", "late")


def run(plan):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    left = list(enumerate(plan["cases"]))
    linked = set()
    running = {}
    failed = False
    while running or (left and not failed):
        while left and not failed and len(running) < plan["slots"]:
            number, (program, name, limit) = left.pop(0)
            for command in plan["link"].get(program, []):
                if command not in linked:
                    linked.add(command)
                    subprocess.run(command, shell=True, check=True,
                                   cwd=plan["programs"], stdout=sys.stderr)
            case = Case(plan, number, program, name, limit)
            running[case.pid] = case
        signal.sigtimedwait([signal.SIGCHLD], 0.5)
        for case in running.values():
            if time.monotonic() > case.end:
                case.kill(True)
        # As the first process, it has the orphans, too.
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            case = running.pop(pid, None)
            if case is not None and case.report(status, usage):
                failed = plan["stop"]
        if failed:
            for case in running.values():
                case.kill(False)
            break


confine(sys.argv[1])
run(json.load(sys.stdin))
