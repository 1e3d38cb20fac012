"""How alike: `verdict` chooses a checkpoint from distances and says how sure that is, in the words of `records`; `gates` say
whether its portraits are of the client at all, `flags` what else is wrong with them, `rulers` how far pictures lie apart;
`likeness` measures how far a LoRA moves portraits toward the client."""
