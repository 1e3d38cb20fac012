"""Where faces are, what they are like and whose they are. `detector` (MTCNN), `geometry` and `crops` (where a crop lies, and what
lies on disk of a verdict), `quality` (what is measured and refused), `identity` and `verdicts` (whose face it is), `decisions`
(what a person said), and `examiner`, which looks at one original.
"""
