"""How alike: `examination` is the exam of a client's checkpoints, which are named by `candidates`, with its scenes in `prompts`,
its portraits by `painting`, what it measures in `measuring` (kept on disk) and `judging`, and what it leaves in `writing`, `plot`
and `report`. `verdict` chooses a checkpoint from distances and says how sure that is, in the words of `records`; `gates` say
whether its portraits are of the client at all, `flags` what else is wrong with them, `rulers` how far pictures lie apart; `errors`
that several of them raise.
`swap_baseline` is what can be had without training; `blind` lets a person judge without knowing what, and `agreement` says how
often person and exam agree; `words` says all of it in sentences. `trials` are tries of settings with their arithmetic, `study`
keeps them, `trial_exam` examines one checkpoint of them."""
