"""What wardian keeps: content by digest, snapshots by key, caches, and the locks over them."""
