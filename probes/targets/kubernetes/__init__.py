"""The Kubernetes target: workloads of one context of a kubeconfig, or of the cluster that fastops runs in."""
