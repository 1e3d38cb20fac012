"""Speed, measured as a ratio against the plain way or a rival in the same run; each is a script. `startup`, `parse_names`,
`import_pictures`, `faces`, `embedded_trainer`, `portraits`; and `measure_base`, which measures what the embedded base paints.
"""
