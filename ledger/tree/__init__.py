"""Pure mathematics of proof: Merkle tree, proofs, signed notes, checkpoints. No database."""
