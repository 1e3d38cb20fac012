"""People drawn by code: `portraits` (who and how), `painting` (into pixels), `palette`; and what is made of them:
`sample_client` with `camera_raw`, and `regularisation` pictures.
"""
