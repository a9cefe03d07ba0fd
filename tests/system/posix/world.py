# SPDX-License-Identifier: Apache-2.0
"""What the tables of this folder are written with: a fresh folder for each case, calls under other ids, and checks that
go on after a failure. The same cases run on a local file system, which shows that the table itself is right."""
import contextlib
import ctypes
import errno
import os
import shutil
import stat
import time

LIBC = ctypes.CDLL(None, use_errno=True)
TICK_SECONDS = 0.012  # longer than the clock step of any file system here
KINDS = ("regular", "directory", "fifo", "socket", "character", "block", "symlink")
AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
BAD_ADDRESS = ctypes.c_void_p(0xffff_8000_0000_0000)

# Users of the tables: ids that no machine gives meaning to.
ANN = 65101
BOB = 65102
TEAM = 65201
OTHERS = 65202
THIRD = 65203


def c_call(name, *arguments):
    """A function of the C library, with OSError when it fails."""
    ctypes.set_errno(0)
    function = getattr(LIBC, name)
    result = function(*[word.encode() if isinstance(word, str) else word for word in arguments])
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
RENAME_WHITEOUT = 4


def renameat2(old, new, flags):
    return c_call("renameat2", AT_FDCWD, old, AT_FDCWD, new, flags)


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


UTIME_NOW = (1 << 30) - 1
UTIME_OMIT = (1 << 30) - 2


def utimensat(path, atime, mtime, flags=0):
    """Times are (seconds, nanoseconds), UTIME_NOW or UTIME_OMIT; both None: now."""
    if atime is None:
        return c_call("utimensat", AT_FDCWD, path, None, flags)
    both = (Timespec * 2)()
    for slot, value in zip(both, (atime, mtime)):
        slot.seconds, slot.nanoseconds = value if isinstance(value, tuple) else (0, value)
    return c_call("utimensat", AT_FDCWD, path, both, flags)


def name_of(code):
    return errno.errorcode.get(code, str(code)) if code else "success"


CASES = []


def case(function):
    """Marks a function of a table; it gets the World, in a fresh folder that is the working directory."""
    CASES.append(function)
    return function


class World:
    """One file system under test."""

    def __init__(self, name, base):
        self.name = name
        self.base = base
        self.problems = []
        self.calls = 0
        self.running = ""

    # Running cases.

    def run(self, cases):
        for function in cases:
            self.running = f"{function.__module__}.{function.__name__}"
            with self.fresh_folder():
                try:
                    function(self)
                except Exception as problem:  # a table that stumbles shows where
                    line = problem.__traceback__.tb_next
                    self.problem(f"stumbled in line {line.tb_lineno if line else '?'}: {problem!r}")

    @contextlib.contextmanager
    def fresh_folder(self):
        folder = os.path.join(self.base, "case")
        before = os.getcwd()
        os.mkdir(folder)
        os.chmod(folder, 0o755)
        os.chdir(folder)
        os.umask(0)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups([])
            os.umask(0o022)
            os.chdir(before)
            shutil.rmtree(folder)

    def problem(self, text):
        self.problems.append(f"{self.name}: {self.running}: {text}")
        print(self.problems[-1], flush=True)

    # Who calls.

    @contextlib.contextmanager
    def user(self, uid, gid=None, groups=()):
        """The effective ids and the groups of what runs inside."""
        os.setgroups(list(groups))
        os.setegid(OTHERS if gid is None else gid)
        os.seteuid(uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups([])

    def in_child(self, function, uid=0, gid=0, groups=()):
        """What the function returns, from a child that has taken the ids for good: real, effective and saved ones."""
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            answer = "child died"
            try:
                os.setgroups(list(groups))
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
                answer = repr(function())
            except OSError as problem:
                answer = repr(name_of(problem.errno))
            finally:
                os.write(write_end, answer.encode())
                os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        return eval(answer, {})  # a repr of plain values made above

    # Checking.

    def outcome(self, call, *arguments, **options):
        self.calls += 1
        try:
            call(*arguments, **options)
            return 0
        except OSError as problem:
            return problem.errno

    def fails(self, expected, call, *arguments, **options):
        """`expected` is an errno or several that are as good."""
        wanted = expected if isinstance(expected, tuple) else (expected,)
        found = self.outcome(call, *arguments, **options)
        if found not in wanted:
            shown = ", ".join(repr(word)[:60] for word in arguments)
            label = getattr(call, "__name__", str(call))
            self.problem(f"{label}({shown}): {name_of(found)} instead of {' or '.join(map(name_of, wanted))}")
        return found

    def ok(self, call, *arguments, **options):
        return self.fails(0, call, *arguments, **options) == 0

    def same(self, found, expected, what):
        self.calls += 1
        if found != expected:
            self.problem(f"{what}: {found!r} instead of {expected!r}")

    def true(self, condition, what):
        self.calls += 1
        if not condition:
            self.problem(f"{what}: does not hold")

    def mode(self, path, expected):
        found = stat.S_IMODE(os.lstat(path).st_mode)
        self.same(oct(found), oct(expected), f"mode of {path}")

    def owner(self, path, uid, gid):
        found = os.lstat(path)
        self.same((found.st_uid, found.st_gid), (uid, gid), f"owner of {path}")

    def links(self, path, expected):
        self.same(os.lstat(path).st_nlink, expected, f"link count of {path}")

    def absent(self, path):
        self.fails(errno.ENOENT, os.lstat, path)

    @contextlib.contextmanager
    def times(self, **expected):
        """Which times of which paths move in what runs inside: a string of a, m, c for each keyword, whose value is
        the path or (path, ...): changed_mc=".", changed_c="file", same=("x", "y")."""
        groups = []
        for key, paths in expected.items():
            changed = key.removeprefix("changed_") if key.startswith("changed_") else ""
            for path in (paths,) if isinstance(paths, str) else paths:
                groups.append((path, changed, os.lstat(path)))
        time.sleep(TICK_SECONDS)
        yield
        for path, changed, before in groups:
            try:
                after = os.lstat(path)
            except OSError as problem:
                self.problem(f"times of {path}: {name_of(problem.errno)}")
                continue
            for letter, field in (("a", "st_atime_ns"), ("m", "st_mtime_ns"), ("c", "st_ctime_ns")):
                if letter == "a" and self.other_readers(before.st_mode):
                    continue
                old, new = getattr(before, field), getattr(after, field)
                self.calls += 1
                if letter in changed and new <= old:
                    self.problem(f"{letter}time of {path} did not move")
                if letter not in changed and new != old:
                    self.problem(f"{letter}time of {path} moved")

    def other_readers(self, mode):
        """Whoever follows a symbolic link may count as its reader; on a local file system whatever walks the machine's
        folders reads directories."""
        return stat.S_ISLNK(mode) or (self.name == "local" and stat.S_ISDIR(mode))

    def one_moment(self, first, *later):
        """Times that one call gives: equal, but for a local file system that reads the clock anew for each inode."""
        if self.name == "local":
            return all(first <= time <= first + 1_000_000_000 for time in later)
        return all(first == time for time in later)

    # Making things.

    def make(self, kind, path, mode=0o644, owner=None):
        if kind == "regular":
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        elif kind == "directory":
            os.mkdir(path, mode)
        elif kind == "symlink":
            os.symlink("nowhere", path)
        else:
            types = {"fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "character": stat.S_IFCHR, "block": stat.S_IFBLK}
            os.mknod(path, types[kind] | mode, os.makedev(1, 3))
        if owner is not None:
            os.lchown(path, *owner)
        return path

    def write(self, path, data=b"", mode=None, owner=None):
        with open(path, "wb") as file:
            file.write(data)
        if owner is not None:
            os.lchown(path, *owner)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def folder(self, path, mode=0o755, owner=None):
        os.mkdir(path)
        if owner is not None:
            os.chown(path, *owner)
        os.chmod(path, mode)
        return path

    def names(self, path="."):
        return sorted(os.listdir(path))
