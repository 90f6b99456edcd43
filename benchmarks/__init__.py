"""What the project exists for, measured: `make bench` writes `results.md` and the pictures beside this file.

`load` asks the production address through every cutover, `methods` are the ways of a cutover that are compared,
`cases` what happens meanwhile, and `traffic` runs each case with each method. `README.md` says what the numbers mean.
"""
