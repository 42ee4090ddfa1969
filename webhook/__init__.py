"""Everything that serves or watches: the admission webhook, its certificate, live pools, metrics, logs."""
