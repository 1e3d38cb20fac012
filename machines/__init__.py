"""A queue over several machines: `pool` (its folder, joining key and certificates), `facts` (what machines say of themselves and
must agree in), `scheduler` (who joins, and where), `joined` (a PC that works for others), `errands` (what it does when asked),
`parcels` (what travels), `link` (asking the machines), `training_there` (a training on one of them),
`errors` that several raise.
"""
