"""The core's control plane: configuration, recovery, start, admin pages. Orders never pass through Python here."""
