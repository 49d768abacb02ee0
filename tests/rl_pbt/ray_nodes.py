"""Run as a script: a Ray cluster in one machine, whose nodes are killed and replaced by number, a line of standard input each.

    python ray_nodes.py NODES

It prints the cluster's address, and ends with its standard input. On its head nothing is run; the other nodes have a CPU each.
"""

import os
import sys

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from ray.cluster_utils import Cluster

FEW = {"object_store_memory": 80 * 2**20, "include_dashboard": False}


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **FEW})
    nodes = [cluster.add_node(num_cpus=1, **FEW) for _ in range(int(sys.argv[1]))]
    print(cluster.address, flush=True)
    for line in sys.stdin:
        cluster.remove_node(nodes[int(line)], allow_graceful=False)
        nodes[int(line)] = cluster.add_node(num_cpus=1, **FEW)
    cluster.shutdown()


if __name__ == "__main__":
    main()
