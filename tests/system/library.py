# SPDX-License-Identifier: Apache-2.0
"""Goal: programs use a cluster through the client library: every call does what it says, what it did is seen through a mount,
a cluster that is not there is told, and the bench of the library runs."""
import json
import os

from cluster import BUILD, cluster, expect, need_fuse, run, step

CALLS = os.path.join(BUILD, "tests", "library_calls")
BENCH = os.path.join(BUILD, "tests", "rideau-bench-library")

need_fuse()
with cluster(oss=2) as made:
    step("every call")
    run(CALLS, made.config, made.mount)
    expect(os.listdir(made.mount) == [], "something was left behind")
    step("the bench, with few files")
    lines = [json.loads(line) for line in run(BENCH, made.config, made.folder, "--files", "300", "--rounds", "1").stdout.splitlines()]
    expect([line["round"] for line in lines] == ["1", "median"], lines)
    expect(all(line[rate] > 0 for line in lines for rate in ("creates", "durable", "lmdb_256", "lmdb_4096")), lines)
    names = os.listdir(made.mount)
    expect(len(names) == 1 and len(os.listdir(os.path.join(made.mount, names[0]))) == 300, names)
    made.down()
    made.check()
    step("no cluster")
    answer = run(CALLS, made.config, made.mount, check=False)
    expect(answer.returncode == 1 and "cannot reach the cluster" in answer.stdout, answer.stdout)
print("the library works")
