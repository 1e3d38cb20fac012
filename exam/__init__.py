"""How alike: `verdict` chooses a checkpoint from distances and says how sure that is, in the words of `records`; `likeness`
measures how far a LoRA moves portraits toward the client."""
