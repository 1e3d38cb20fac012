"""Faces: `detector` (MTCNN), `geometry` and `crops` (where a crop lies and how it is cut), `quality` (what is measured and
refused), `identity` and `verdicts` (whose face it is), `face_network` and `dlib_weights` (dlib's network, converted),
`decisions` (what a person said), `examiner` and `process_run` (what a run of `process` does with each picture).
"""
