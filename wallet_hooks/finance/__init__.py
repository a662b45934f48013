"""What finance needs: proofs over all history."""
