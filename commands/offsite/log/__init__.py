"""The ledger as C2SP tlog-tiles at a store: beside the copies, or by itself."""
