"""The program attacked: `python -m attack NAME --rounds N`; each campaign counts what it tried, and exits 1 on any fault.

The campaigns: `kills` (SIGKILL before any file call and at random instants), `power` (power cuts on a file system of its own),
`full_disk`, `hostile` (files that are not what they say), `broken_records`, `pairs` (two actions at once) and `settings_changes`.
What they share: `table` (the actions attacked), `scenes` (homes prepared once), `forks` (the program in a forked child, or by its
command line), `deaths` (ends or halts a process at its n-th file call; `hook` has it in child processes), `compare` (what people
see of two homes), `spoil` (bytes and JSON made wrong), `mounts` (file systems of their
own) and `campaign` (progress, figures, faults).
"""
