"""How alike the portraits and their client are. `likeness` measures how far a LoRA moves portraits toward the client."""
