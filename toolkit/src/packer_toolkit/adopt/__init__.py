"""Bringing a repository under the template: what its files say, and what is added to it.

`hcl` and `legacy_json` read Packer's files into `packer.Source`, `surroundings` reads what lies
around them, `answers` makes answers of both, and `adoption` lets Copier make a baseline of them.
"""
