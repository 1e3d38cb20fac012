"""How alike: `examination` is the exam of a client's checkpoints, with its scenes in `prompts`, what it measures in `judging`,
and what it leaves in `writing` and `report`. `verdict` chooses a checkpoint from distances and says how sure that is, in the
words of `records`; `gates` say whether its portraits are of the client at all, `flags` what else is wrong with them,
`rulers` how far pictures lie apart; `errors` that several of them raise. `likeness` measures how far a LoRA moves portraits
toward the client. `trials` are tries of settings with their arithmetic, `study` keeps them, `trial_exam` examines one
checkpoint of them."""
