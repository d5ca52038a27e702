"""Adopt a repository that the template did not create.

`legacy_json` and the room hcl read Packer's files, `ci_config` the workflows and tasks; `answers`
derives answers from them, `renders` lets Copier render the baseline, `compare` compares it with the
folder, `prepare` does all of that, and `adoption` writes the result.
"""
