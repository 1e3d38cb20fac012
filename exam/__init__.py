"""How alike: `likeness` measures how far a LoRA moves portraits toward the client."""
