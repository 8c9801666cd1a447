"""What comes from elsewhere: files at addresses, models of the hub, manifests."""
