# vmclus: the cluster.
