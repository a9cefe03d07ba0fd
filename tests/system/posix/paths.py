# SPDX-License-Identifier: Apache-2.0
"""What every call that takes a path does alike: each is held to it with `path_errors`."""
import errno
import os

from world import ANN, OTHERS, TEAM

NAME_MAX = 255
PATH_MAX = 4096


def long_path(bytes_wanted, last):
    """A path of that many bytes that leads to `last` in the working directory."""
    room = bytes_wanted - len(last)
    return (".//" if room % 2 else "") + "./" * ((room - 3 if room % 2 else room) // 2) + last


def path_errors(w, call, creates=False, follows=True):
    """`call(path)` is one system call. `creates`: it makes the last name (else it needs it). `follows`: a symbolic link as
    last name is followed. The working directory is the case's."""
    made = "new" if creates else "here"
    if not creates:
        w.write("here")

    # A component that is no directory.
    for kind in ("regular", "fifo", "socket", "character", "block"):
        w.make(kind, f"no-{kind}")
        w.fails(errno.ENOTDIR, call, f"no-{kind}/{made}")
        w.fails(errno.ENOTDIR, call, f"no-{kind}/deeper/{made}")

    # A component, or the last name, that is not there.
    w.fails(errno.ENOENT, call, f"missing/{made}")
    w.fails(errno.ENOENT, call, "")
    if not creates:
        w.fails(errno.ENOENT, call, "missing")
    os.symlink("missing", "dangling")
    w.fails(errno.ENOENT, call, f"dangling/{made}")
    if follows and not creates:
        w.fails(errno.ENOENT, call, "dangling")

    # Names and paths that are too long.
    longest = "n" * NAME_MAX
    w.fails(errno.ENAMETOOLONG, call, longest + "n")
    w.fails(errno.ENAMETOOLONG, call, f"{longest}n/{made}")
    w.fails(errno.ENOENT, call, f"{longest}/{made}")
    if not creates:
        w.write(longest)
    w.ok(call, longest)
    if not creates:
        w.write("x" * 250)
    w.ok(call, long_path(PATH_MAX - 1, "x" * 250))
    w.fails(errno.ENAMETOOLONG, call, long_path(PATH_MAX, "x" * 249))

    # Symbolic links in a circle.
    os.symlink("circle-b", "circle-a")
    os.symlink("circle-a", "circle-b")
    w.fails(errno.ELOOP, call, f"circle-a/{made}")
    if follows and not creates:
        w.fails(errno.ELOOP, call, "circle-b")

    # No right to search a directory on the way: for the owner, a member of the group, and others.
    for who, closed in ((ANN, 0o077), (ANN + 1, 0o707), (ANN + 2, 0o770)):
        place = w.folder(f"closed-{who}", 0o777, (ANN, TEAM))
        os.mkdir(f"{place}/inner")
        os.chmod(f"{place}/inner", 0o777)
        if not creates:
            for folder in (place, f"{place}/inner"):
                w.write(f"{folder}/{made}", mode=0o666, owner=(who, TEAM))
        os.chmod(place, closed)
        gid = TEAM if who == ANN + 1 else OTHERS
        with w.user(who, gid):
            w.fails(errno.EACCES, call, f"{place}/{made}")
            w.fails(errno.EACCES, call, f"{place}/inner/{made}")
            w.fails(errno.EACCES, call, f"{place}/missing")
        if who == ANN + 1:  # the same through a group that is not the first
            with w.user(who, OTHERS, [TEAM]):
                w.fails(errno.EACCES, call, f"{place}/inner/{made}")


def parent_errors(w, call, prepare=None):
    """`call(path)` makes or removes the last name: the directory needs write permission, and its times move with success
    alone. `prepare(path)`, as root, makes the name for a call that removes it."""
    for who, mode in ((ANN, 0o577), (ANN + 1, 0o757), (ANN + 2, 0o775)):
        place = w.folder(f"read-only-{who}", 0o777, (ANN, TEAM))
        if prepare is not None:
            prepare(f"{place}/name")
            os.lchown(f"{place}/name", who, TEAM)
        os.chmod(place, mode)
        gid = TEAM if who == ANN + 1 else OTHERS
        with w.times(same=place), w.user(who, gid):
            w.fails(errno.EACCES, call, f"{place}/name")
        with w.user(who, OTHERS, [TEAM] if who == ANN + 1 else []):
            w.fails(errno.EACCES, call, f"{place}/name")
        os.chmod(place, 0o777)
        with w.times(changed_mc=place), w.user(who, gid):
            w.ok(call, f"{place}/name")
    # Membership in a group that is not the first gives as much.
    place = w.folder("of-the-team", 0o770, (ANN, TEAM))
    if prepare is not None:
        prepare(f"{place}/name")
    with w.user(ANN + 1, OTHERS, [OTHERS, TEAM]):
        w.ok(call, f"{place}/name")
