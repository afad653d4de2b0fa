"""The worker's side: what its sidecar makes of what others say."""
