# SPDX-License-Identifier: Apache-2.0
"""Runs tables of this folder on a local file system, which shows that they are right, and on mounts of a cluster.

run.py BUILD [--kernel-decides] TABLE…       (RIDEAU_POSIX_CASE=part-of-a-name: those cases alone)

--kernel-decides: on a mount with default_permissions as well."""
import importlib
import os
import sys
import time

KERNEL_DECIDES = "--kernel-decides"
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from cluster import cluster, need_fuse, temporary_folder  # noqa: E402
import world  # noqa: E402


def tables(names):
    for name in names:
        importlib.import_module(name)
    part = os.environ.get("RIDEAU_POSIX_CASE", "")
    return [case for case in world.CASES if part in f"{case.__module__}.{case.__name__}"]


def run(place, cases):
    began = time.monotonic()
    place.run(cases)
    print(f"{place.name}: {len(cases)} cases, {place.calls} calls and looks, {len(place.problems)} problems, "
          f"{time.monotonic() - began:.1f} s", flush=True)
    return place.problems


need_fuse()
if os.geteuid() != 0:
    print("skipped: other users' rights can be tried by root alone")
    sys.exit(77)
chosen = tables([name for name in sys.argv[2:] if name != KERNEL_DECIDES])
problems = []
with temporary_folder() as folder:
    os.chmod(folder, 0o755)
    problems += run(world.World("local", folder), chosen)
with cluster() as made:
    os.chmod(os.path.dirname(made.folder), 0o755)
    problems += run(world.World("mount", made.mount), chosen)
    if KERNEL_DECIDES in sys.argv:
        other = made.mount_another("other", "--default-permissions")
        problems += run(world.World("mount whose kernel decides", other), chosen)
print(f"{len(problems)} problems")
sys.exit(1 if problems else 0)
